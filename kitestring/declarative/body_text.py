"""Charsets and lines of text bodies that arrive in chunks."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from kitestring.http.message import UnreadableError

Chunks = Iterable[bytes]


def lines(chunks: Chunks) -> Iterator[bytes]:
    """The lines of a body without line ends."""
    partial: list[bytes] = []
    for chunk in chunks:
        first, *whole = chunk.split(b"\n")
        partial.append(first)
        if not whole:
            continue
        yield b"".join(partial).removesuffix(b"\r")
        *whole, last = whole
        yield from (line.removesuffix(b"\r") for line in whole)
        partial = [last]
    if rest := b"".join(partial):
        yield rest.removesuffix(b"\r")


WIDE = {codecs.BOM_UTF8: "", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks (those of UTF-32 begin like those of UTF-16) and the codec that reads what follows."""


def wide_charset(head: bytes, charset: str) -> str:
    """The codec of a body in UTF-16 or UTF-32, by its byte order mark or its charset; empty for any other body."""
    marked = next((codec for mark, codec in WIDE.items() if head.startswith(mark)), None)
    return marked if marked is not None else charset if charset.startswith(("utf-16", "utf-32")) else ""


def in_utf8(chunks: Chunks, charset: str) -> Iterator[bytes]:
    """A body without its byte order mark. UTF-16 and UTF-32 become UTF-8, so that lines can be split."""
    source = iter(chunks)
    head = first_bytes(source)
    codec = wide_charset(head, charset)
    if not codec:
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from source
        return
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    try:
        yield decoder.decode(head).removeprefix("\ufeff").encode("utf-8", "surrogatepass")
        for chunk in source:
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"the response is not {codec.upper()}: {error.reason}") from error


def text_of(data: bytes, charset: str) -> str:
    """Decode bytes as UTF-8, else by the charset of the response. Raises `UnicodeDecodeError` for neither."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        if charset in ("", "utf-8", "ascii"):
            raise
        return data.decode(charset)


def first_bytes(source: Iterator[bytes]) -> bytes:
    """Take the first chunks of a body, enough bytes for a byte order mark."""
    head = b""
    for chunk in source:
        head += chunk
        if len(head) >= 4:
            break
    return head
