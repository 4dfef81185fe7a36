"""Reads CSV rows without losing any: an unreadable row becomes a `Reject` with the text of its lines."""

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

from kitestring.declarative.body_text import first_bytes, in_utf8, wide_charset
from kitestring.types import Reject

LARGEST_ROW = 64 * 1024 * 1024
"""Characters of a row: an unclosed quote would put the rest of the page into one field."""
EXCERPT = 10_000
"""Characters of an unreadable row that its reject keeps."""

FOREIGN = re.compile("[\udc80-\udcff]")
"""Bytes outside the page's encoding, as Python's `surrogateescape` decodes them."""
Row = dict[str, Any]


def csv_rows(chunks: Iterable[bytes], delimiter: str, encoding: str, charset: str = "") -> Iterator[Row | Reject]:
    """The rows of a page as objects under the names of its first row.

    Empty lines are skipped. A short row gets null for its missing cells (as in Airbyte's engine). A row with more cells
    than names is a reject, unless the extra cells are empty. Of columns with the same name the last keeps it, the
    others get a number: `a_1`, `a_2`.
    """
    csv.field_size_limit(sys.maxsize)  # process-wide; Python's default is 131,072
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
            lenient = lenient_cells(lines, delimiter)
            if lenient is None:
                yield Reject({"line": lines.excerpt()}, f"line {lines.number} cannot be read: {error}")
                continue
            cells = lenient
        if not cells:
            continue
        if not lines.are_ascii() and FOREIGN.search("".join(cells)):
            if charset in ("", "utf-8", "ascii"):
                yield Reject({"line": lines.excerpt()}, f"line {lines.number} is not {encoding}")
                continue
            cells = [cell.encode(encoding, "surrogateescape").decode(charset, "replace") for cell in cells]
        if names is None:
            names = distinct_names(cells)
        elif len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))
        elif any(cells[len(names) :]):
            fact = f"line {lines.number} has {len(cells)} cells, the first line has {len(names)} names"
            yield Reject({"line": lines.excerpt()}, fact)
        else:
            yield dict(itertools.zip_longest(names, cells[: len(names)]))


class Lines:
    """Lines of text that can be pushed back: the lines of the current row are kept."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._row_lines: list[str] = []
        self._returned: deque[str] = deque()
        self._before = 0
        self._size = 0

    def begin(self) -> None:
        """Begin a row: the lines before it are done."""
        self._before += len(self._row_lines)
        self._row_lines, self._size = [], 0

    def push_back(self) -> None:
        """Keep the first line of the row and push the others back."""
        self._returned.extendleft(reversed(self._row_lines[1:]))
        del self._row_lines[1:]

    @property
    def number(self) -> int:
        """The number of the row's first line."""
        return self._before + 1

    def text(self) -> str:
        return "".join(self._row_lines)

    def excerpt(self) -> str:
        """The beginning of the row, as it can be kept."""
        return self.text()[:EXCERPT].encode("utf-8", "replace").decode().rstrip("\r\n")

    def are_ascii(self) -> bool:
        return all(map(str.isascii, self._row_lines))

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self._size > LARGEST_ROW:
            raise csv.Error(f"a row has more than {LARGEST_ROW:,} characters")
        line = self._returned.popleft() if self._returned else next(self._lines)
        self._row_lines.append(line)
        self._size += len(line)
        return line


def lenient_cells(lines: Lines, delimiter: str) -> list[str] | None:
    """The cells of a malformed row: a quote inside a field is kept as text if the row fits in one line. Else None, and
    the lines behind the first are pushed back."""
    lines.push_back()
    line = lines.text()
    try:
        list(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):  # the line ends inside a quoted field
            return None
    try:
        rows = list(csv.reader([line], delimiter=delimiter))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def distinct_names(names: list[str]) -> list[str]:
    counts = Counter(names)
    remaining, used, distinct = dict(counts), set(names), []
    for name in names:
        remaining[name] -= 1
        if not remaining[name]:
            distinct.append(name)
            continue
        number = counts[name] - remaining[name]
        while f"{name}_{number}" in used:
            number += 1
        used.add(f"{name}_{number}")
        distinct.append(f"{name}_{number}")
    return distinct


def text_lines(chunks: Iterable[bytes], encoding: str, charset: str) -> Iterator[str]:
    """The lines of a body with line ends. Bytes outside the encoding become lone surrogates."""
    source = iter(chunks)
    head = first_bytes(source)
    wide = wide_charset(head, encoding if encoding.startswith(("utf-16", "utf-32")) else charset)
    body: Iterable[bytes] = itertools.chain([head], source)
    if wide or head.startswith(codecs.BOM_UTF8):
        body, encoding = in_utf8(body, wide), "utf-8"
    yield from io.TextIOWrapper(
        io.BufferedReader(ChunkReader(body)), encoding=encoding, errors="surrogateescape", newline=""
    )


class ChunkReader(io.RawIOBase):
    """Chunks of bytes as a raw file, for text readers."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(part) :]
        buffer[: len(part)] = part
        return len(part)
