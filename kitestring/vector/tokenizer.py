"""Tokenizers of embedding models, without a download.

OpenAI's table `cl100k_base` (the encoding of text-embedding-ada-002 and text-embedding-3-*, MIT) is part of the
package: tiktoken itself downloads it at run time. `WordPiece` reads the table of a local model.
"""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kitestring.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


class Encoding(ABC):
    """Counts the tokens of a text, and returns where they begin."""

    name: str

    @abstractmethod
    def count(self, text: str) -> int:
        """The number of tokens of a text. At most its UTF-8 length in bytes."""

    @abstractmethod
    def starts(self, text: str) -> NDArray[np.int64]:
        """The position (in characters) at which each token of the text begins, ascending."""


class Cl100k(Encoding):
    """OpenAI's byte pair encoding with 100,256 tokens."""

    name = "cl100k_base"

    def __init__(self) -> None:
        import base64

        import numpy as np

        try:
            import tiktoken
        except ImportError as error:
            raise ConfigError(
                "counting tokens needs the package tiktoken, which is not installed",
                hint="Install it: pip install 'kitestring[vector]'",
            ) from error
        table = files("kitestring.vector").joinpath("tables", "cl100k_base.tiktoken.gz").read_bytes()
        lines = (line.split() for line in gzip.decompress(table).splitlines())
        ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
        self._encode = tiktoken.Encoding(
            self.name, pat_str=CL100K_PATTERN, mergeable_ranks=ranks, special_tokens={}
        ).encode_ordinary
        self._lengths = np.fromiter(map(len, ranks), dtype=np.int64, count=len(ranks))

    def count(self, text: str) -> int:
        return len(self._encode(text))

    def starts(self, text: str) -> NDArray[np.int64]:
        import numpy as np

        lengths = self._lengths[self._encode(text)]
        ends = np.cumsum(lengths)
        begins: NDArray[np.int64] = ends - lengths
        if text.isascii():
            return begins
        # Tokens are bytes here: a character's number is the count of leading bytes before it.
        leading = (np.frombuffer(text.encode(), dtype=np.uint8) & 0xC0) != 0x80
        characters = np.cumsum(leading) - 1
        positions: NDArray[np.int64] = characters[begins]
        return positions


class WordPiece(Encoding):
    """The tokenizer of a BERT model, from its tokenizer.json. The two special tokens around a text are not counted."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name = name
        self._tokenizer = tokenizer

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def starts(self, text: str) -> NDArray[np.int64]:
        import numpy as np

        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return np.fromiter((begin for begin, _ in offsets), dtype=np.int64, count=len(offsets))


@lru_cache(maxsize=1)
def cl100k() -> Cl100k:
    """The table, loaded once per process (0.15 s, 30 MB)."""
    return Cl100k()
