"""Rows of CSV, none of them lost in silence: what cannot be read is a `Reject` with the text of its lines."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

from kitestring.declarative.text import beginning, in_utf8, wide_charset
from kitestring.types import Reject

LARGEST_ROW = 64 * 1024 * 1024
"""Characters of a row. A quote that nothing closes would take the rest of the page into one field."""
EXCERPT = 10_000
"""So many characters of a row that cannot be read are kept with its reject."""

FOREIGN = re.compile("[\udc80-\udcff]")
"""Bytes that are not in the page's encoding, as Python's `surrogateescape` shows them."""
Row = dict[str, Any]


def csv_rows(chunks: Iterable[bytes], delimiter: str, encoding: str, charset: str = "") -> Iterator[Row | Reject]:
    """The rows of a page as objects under the names of its first row.

    Empty lines mean nothing. A row that is too short has null for what it lacks (as in Airbyte's engine); one with more
    cells than there are names is a reject, unless the cells too many are empty. Of columns with the same name the last
    has it, those before get a number: `a_1`, `a_2`.
    """
    csv.field_size_limit(sys.maxsize)  # it is one for the whole process, 131,072 at first
    lines = Lines(text_lines(chunks, encoding, charset))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found = loose_cells(lines, delimiter)
            if found is None:
                yield Reject({"line": lines.excerpt()}, f"line {lines.number} cannot be read: {error}")
                continue
            cells = found
        if not cells:
            continue
        if not lines.are_ascii() and FOREIGN.search("".join(cells)):
            if charset in ("", "utf-8", "ascii"):
                yield Reject({"line": lines.excerpt()}, f"line {lines.number} is no {encoding}")
                continue
            cells = [cell.encode(encoding, "surrogateescape").decode(charset, "replace") for cell in cells]
        if names is None:
            names = distinct(cells)
        elif len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))
        elif any(cells[len(names) :]):
            fact = f"line {lines.number} has {len(cells)} cells, the first line has {len(names)} names"
            yield Reject({"line": lines.excerpt()}, fact)
        else:
            yield dict(itertools.zip_longest(names, cells[: len(names)]))


class Lines:
    """Lines of text that can be taken again: those of the row that is being read are kept."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._taken: list[str] = []
        self._returned: deque[str] = deque()
        self._before = 0
        self._size = 0

    def begin(self) -> None:
        """What was taken is read: a row begins."""
        self._before += len(self._taken)
        self._taken, self._size = [], 0

    def back(self) -> None:
        """Only the first line of the row counts as taken, the others come again."""
        self._returned.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    @property
    def number(self) -> int:
        """The number of the row's first line."""
        return self._before + 1

    def text(self) -> str:
        return "".join(self._taken)

    def excerpt(self) -> str:
        """The beginning of the row, as it can be kept."""
        return self.text()[:EXCERPT].encode("utf-8", "replace").decode().rstrip("\r\n")

    def are_ascii(self) -> bool:
        return all(map(str.isascii, self._taken))

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self._size > LARGEST_ROW:
            raise csv.Error(f"a row has more than {LARGEST_ROW:,} characters")
        line = self._returned.popleft() if self._returned else next(self._lines)
        self._taken.append(line)
        self._size += len(line)
        return line


def loose_cells(lines: Lines, delimiter: str) -> list[str] | None:
    """The cells of a row that is not well formed: a quote inside a field is taken as it is where its row is whole in
    one line. None where it is not; the lines behind the first come again then."""
    lines.back()
    line = lines.text()
    try:
        list(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):  # the line ends inside a quoted field
            return None
    try:
        found = list(csv.reader([line], delimiter=delimiter))
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None


def distinct(names: list[str]) -> list[str]:
    counts = Counter(names)
    left, taken, found = dict(counts), set(names), []
    for name in names:
        left[name] -= 1
        if not left[name]:
            found.append(name)
            continue
        number = counts[name] - left[name]
        while f"{name}_{number}" in taken:
            number += 1
        taken.add(f"{name}_{number}")
        found.append(f"{name}_{number}")
    return found


def text_lines(chunks: Iterable[bytes], encoding: str, charset: str) -> Iterator[str]:
    """The lines of a body with their ends. Bytes that the encoding does not have become half surrogates."""
    source = iter(chunks)
    head = beginning(source)
    wide = wide_charset(head, encoding if encoding.startswith(("utf-16", "utf-32")) else charset)
    body: Iterable[bytes] = itertools.chain([head], source)
    if wide or head.startswith(codecs.BOM_UTF8):
        body, encoding = in_utf8(body, wide), "utf-8"
    yield from io.TextIOWrapper(
        io.BufferedReader(Pieces(body)), encoding=encoding, errors="surrogateescape", newline=""
    )


class Pieces(io.RawIOBase):
    """Pieces of bytes as a file, for readers of text."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        part = self._left[: len(buffer)]
        self._left = self._left[len(part) :]
        buffer[: len(part)] = part
        return len(part)
