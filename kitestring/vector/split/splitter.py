"""Text to chunks that fit the embedding model, cut at natural boundaries."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kitestring.json_codec import without_surrogates
from kitestring.vector.processing import Processing
from kitestring.vector.split.separator_matches import SeparatorMatches, find_separator
from kitestring.vector.split.separators import Separator, separators
from kitestring.vector.split.token_counts import TokenCounts

if TYPE_CHECKING:
    from kitestring.vector.embedder import Embedder

log = logging.getLogger("kitestring.vector")

Span = tuple[int, int]


class Splitter:
    """Cuts texts into chunks of at most `size` tokens, which share at most `overlap` tokens with the chunk before.

    A text is cut at the first separator that occurs in it; parts are joined again as long as they fit, and a part that
    is too long by itself is cut at the next separator (as LangChain's RecursiveCharacterTextSplitter does). Text
    without separators is cut between words, then between tokens, so that every chunk fits; a single character is never
    cut. Chunks are parts of the text without surrounding white space. The same text gives the same chunks.
    """

    def __init__(self, processing: Processing, embedder: Embedder) -> None:
        self.encoding = embedder.tokens()
        self.size = min(processing.chunk_size, embedder.max_tokens)
        self.overlap = processing.chunk_overlap
        if self.size < processing.chunk_size:
            self.overlap = processing.chunk_overlap * self.size // processing.chunk_size
            log.warning(
                "chunks are cut at the model's limit, below the configured size",
                extra={"chunk_size": processing.chunk_size, "max_tokens": self.size, "model": embedder.model_name},
            )
        choice = processing.splitter()
        self.levels = separators(choice)
        # A list of separators that ends in the empty one cuts between characters; all others cut between words first.
        characters = getattr(choice, "separators", None) is not None and '""' in choice.separators  # type: ignore[union-attr]
        if not characters and not any(level.literal == " " for level in self.levels):
            self.levels.append(Separator(" ", keep=True))
        self.chunking = f"{self.encoding.name}:{self.size}:{self.overlap}:{choice.model_dump_json()}"
        """The identity of the chunking; part of a chunk's digest."""

    def tokens(self, text: str) -> int:
        """The number of tokens of a text, as the model counts them."""
        return self.encoding.count(without_surrogates(text)) if text else 0

    def split(self, text: str) -> list[str]:
        """The chunks of a text, in its order. None for a text without visible characters."""
        text = without_surrogates(text).strip()
        if not text:
            return []
        # A token is at least a byte: a text has no more tokens than bytes.
        if len(text) <= self.size and (text.isascii() or len(text.encode()) <= self.size):
            return [text]
        return [text[a:b] for a, b in ChunkSpans(self, text).spans(0, len(text), 0)]


class ChunkSpans:
    """The cutting of one text: spans `text[a:b]`, none empty, each within the limit."""

    def __init__(self, splitter: Splitter, text: str) -> None:
        self.text = text
        self.size = splitter.size
        self.overlap = splitter.overlap
        self.levels = splitter.levels
        self.token_counts = TokenCounts(text, splitter.encoding)
        self.ascii = text.isascii()

    def spans(self, a: int, b: int, level: int) -> Iterator[Span]:
        a, b = self.trim(a, b)
        if a >= b:
            return
        if self.fits(a, b):
            yield a, b
            return
        while level < len(self.levels):
            matches = find_separator(self.levels[level], self.text, a, b)
            if matches is not None:
                yield from self.at_separators(a, b, matches, level)
                return
            level += 1
        yield from self.at_tokens(a, b)

    def at_separators(self, a: int, b: int, matches: SeparatorMatches, level: int) -> Iterator[Span]:
        """Cut at separators: as many parts in a chunk as fit.

        `fresh` is the start of the text that is in no chunk yet; an overlap starts before it.
        """
        fresh = a
        end = a  # of the last chunk: the next one must bring more
        while a < b:
            match = (b, b) if self.fits(a, b) else self.last_fitting(a, b, matches)
            span = self.trim(a, match[0]) if match is not None else (a, a)
            if match is not None and span[1] > max(end, span[0]):
                yield span
                end, fresh = span[1], match[1]
                a = self.overlapping(span[0], match, b, matches) if fresh < b else b
            elif a < fresh:
                a = fresh
            elif match is not None:
                a = fresh = match[1]
            else:
                until, fresh = matches.next(a, b)
                yield from self.spans(a, until, level + 1)
                a = end = fresh

    def last_fitting(self, a: int, b: int, matches: SeparatorMatches) -> Span | None:
        """The last separator up to which a chunk that begins at `a` fits."""
        match = matches.last(a, min(self.token_counts.reach(self.first_visible(a, b), self.size), b))
        while match is not None and not self.fits(a, match[0]):
            match = matches.last(a, match[0] - 1)
        return match

    def overlapping(self, a: int, match: Span, b: int, matches: SeparatorMatches) -> int:
        """The start of the chunk after `text[a:match[0]]`: the earliest part that the overlap allows."""
        end, begin = match
        if self.overlap:
            following = matches.next(begin, b)[0]
            start = matches.next(max(self.token_counts.back(end, self.overlap) - 1, a), b)[1]
            while start < end:
                first, last = self.trim(start, end)
                if first < last and self.count(first, last) <= self.overlap and self.fits(start, following):
                    return start
                start = matches.next(start, b)[1]
        return begin

    def at_tokens(self, a: int, b: int) -> Iterator[Span]:
        """Cut a text without separators between tokens, never inside a character."""
        fresh = a
        last = a
        while a < b:
            end = b if self.fits(a, b) else self.last_fitting_token(a, b)
            span = self.trim(a, end)
            if span[1] > max(last, span[0]):
                yield span
                last, fresh = span[1], end
                a = self.overlapping_tokens(span[0], end) if end < b else b
            elif a < fresh:
                a = fresh
            else:
                a = fresh = end

    def last_fitting_token(self, a: int, b: int) -> int:
        """The end of the longest chunk of whole tokens and whole characters that starts at `a`: at least one
        character."""
        a = self.first_visible(a, b)
        end = self.whole(a, max(min(self.token_counts.reach(a, self.size), b), a + 1))
        while end > a + 1 and not self.fits(a, end):
            # The beginning of a word may have more tokens than the word.
            excess = self.count(a, end) - self.size
            end = self.whole(a, max(min(end - 1, self.token_counts.back(end, excess)), a + 1))
        return end

    def overlapping_tokens(self, a: int, end: int) -> int:
        """The start of the chunk after `text[a:end]`."""
        if not self.overlap:
            return end
        start = max(self.token_counts.back(end, self.overlap), a + 1)
        while start < end and self.count(*self.trim(start, end)) > self.overlap:
            start += 1
        return start

    def whole(self, a: int, end: int) -> int:
        """A cut at or before `end` that never separates accents, variation selectors and joiners from their
        character."""
        for place in range(end, max(a, end - 16), -1):
            if place >= len(self.text) or not are_joined(self.text[place - 1], self.text[place]):
                return place
        return end

    def fits(self, a: int, b: int) -> bool:
        a, b = self.trim(a, b)
        if b - a <= self.size and (self.ascii or len(self.text[a:b].encode()) <= self.size):
            return True
        return self.token_counts.between(a, b) <= self.size and self.token_counts.exact(a, b) <= self.size

    def count(self, a: int, b: int) -> int:
        return self.token_counts.exact(a, b)

    def first_visible(self, a: int, b: int) -> int:
        while a < b and self.text[a].isspace():
            a += 1
        return a

    def trim(self, a: int, b: int) -> Span:
        a = self.first_visible(a, b)
        while b > a and self.text[b - 1].isspace():
            b -= 1
        return a, b


def are_joined(before: str, after: str) -> bool:
    """Whether two characters are shown as one."""
    if after < "\u0300":
        return after == "\n" and before == "\r"
    return before == "\u200d" or after in "\u200d\ufe0e\ufe0f" or unicodedata.category(after) in ("Mn", "Me", "Mc")
