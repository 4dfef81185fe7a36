"""Token counts of the parts of one text, after tokenizing it once."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from kitestring.vector.tokenizer import Encoding

WINDOW = 1 << 16
"""The most characters for one call of the tokenizer: its time on one endless word grows with the square of the
length."""


class TokenCounts:
    """Token counts of spans `text[a:b]`.

    A space after a visible character always begins a token, in byte pair encodings and in WordPiece, whatever surrounds
    it. Between two such positions the tokens of the whole text are those of the span, so an exact count tokenizes only
    the first and the last word of a span again.
    """

    def __init__(self, text: str, encoding: Encoding) -> None:
        self.text = text
        self.encoding = encoding
        self.rough: list[int] = []
        """Positions where the text was cut for the tokenizer, though perhaps no token begins there."""
        self.starts = self._measure()

    def _measure(self) -> array[int]:
        import numpy as np

        starts: array[int] = array("q")
        begin, length = 0, len(self.text)
        while begin < length:
            end = min(begin + WINDOW, length)
            if end < length:
                seam = self._last_seam(begin, end)
                if seam > begin:
                    end = seam
                else:
                    self.rough.append(end)
            part = self.encoding.starts(self.text[begin:end]) + begin
            starts.frombytes(np.ascontiguousarray(part, dtype=np.int64).tobytes())
            begin = end
        return starts

    def between(self, a: int, b: int) -> int:
        """How many tokens of the whole text begin in `text[a:b]`: the count of the span, apart from its ends."""
        return bisect_left(self.starts, b) - bisect_left(self.starts, a)

    def reach(self, a: int, tokens: int) -> int:
        """The position that is `tokens` tokens after `a`."""
        index = bisect_left(self.starts, a) + tokens
        return self.starts[index] if index < len(self.starts) else len(self.text)

    def back(self, b: int, tokens: int) -> int:
        """The position that is `tokens` tokens before `b`."""
        index = bisect_left(self.starts, b) - tokens
        return self.starts[index] if index > 0 else 0

    def exact(self, a: int, b: int) -> int:
        """The number of tokens of `text[a:b]` on its own."""
        first, last = self._first_seam(a, b), self._last_seam(a, b)
        if first < 0 or first >= last or self._rough_inside(first, last):
            return self.encoding.count(self.text[a:b])
        head, tail = self.text[a:first], self.text[last:b]
        return self.encoding.count(head) + self.between(first, last) + self.encoding.count(tail)

    def _rough_inside(self, a: int, b: int) -> bool:
        index = bisect_left(self.rough, a)
        return index < len(self.rough) and self.rough[index] <= b

    def _first_seam(self, a: int, b: int) -> int:
        place = self.text.find(" ", a + 1, b)
        while place >= 0 and self.text[place - 1].isspace():
            place = self.text.find(" ", place + 1, b)
        return place

    def _last_seam(self, a: int, b: int) -> int:
        place = self.text.rfind(" ", a + 1, b)
        while place >= 0 and self.text[place - 1].isspace():
            place = self.text.rfind(" ", a + 1, place)
        return place
