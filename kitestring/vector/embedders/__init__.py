"""The embedders that a configuration can choose: the modules of this package, and the entry points of other packages.

An embedder of ours is a class in a module whose name is its `mode`. An embedder of another package is an entry point in
the group `kitestring.embedders`, named as its `mode`.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
import threading
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeGuard, Union

from pydantic.errors import PydanticUndefinedAnnotation

from kitestring.vector.embedder import Embedder

log = logging.getLogger("kitestring.vector")


class ImportInProgressError(Exception):
    """The package of an embedder asks for all embedders while it is being imported."""


class EmbedderRegistry:
    """The classes of all installed embedders, imported once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._classes: tuple[type[Embedder], ...] | None = None
        self._loading = False

    def classes(self) -> tuple[type[Embedder], ...]:
        """All embedders by `form_order`, then by `mode`. An entry point that is unusable is logged and left out.

        `ImportInProgressError` if the module of an embedder calls this while it is being imported.
        """
        with self._lock:
            if self._classes is None:
                if self._loading:
                    raise ImportInProgressError
                self._loading = True
                try:
                    self._classes = self._load()
                finally:
                    self._loading = False
            return self._classes

    def _load(self) -> tuple[type[Embedder], ...]:
        by_mode = {mode_of(embedder): embedder for embedder in bundled()}
        for entry in sorted(entry_points(group="kitestring.embedders"), key=lambda entry: entry.name):
            embedder = load_entry_point(entry)
            if embedder is None:
                continue
            if mode_of(embedder) != entry.name or entry.name in by_mode:
                log.warning("the embedder %s is left out: its mode is %s", entry.name, mode_of(embedder) or "missing")
                continue
            by_mode[entry.name] = embedder
        return tuple(sorted(by_mode.values(), key=lambda embedder: (embedder.form_order, mode_of(embedder))))


def bundled() -> list[type[Embedder]]:
    """The embedders in this package. Its other modules are what several of them share."""
    classes = []
    for module in pkgutil.iter_modules(__path__):
        names = vars(importlib.import_module(f"{__name__}.{module.name}"))
        classes += [value for value in names.values() if is_embedder(value) and mode_of(value) == module.name]
    return classes


def load_entry_point(entry: EntryPoint) -> type[Embedder] | None:
    """The class of an entry point, None if it has none. `ImportInProgressError` if its module is only half imported."""
    try:
        embedder = entry.load()
    except Exception as error:  # another package may raise anything
        if getattr(getattr(sys.modules.get(entry.module), "__spec__", None), "_initializing", False):
            raise ImportInProgressError from error
        log.warning("the embedder %s cannot be imported", entry.name, exc_info=True)
        return None
    if not is_embedder(embedder):
        log.warning("the embedder %s is left out: %s is not an embedder", entry.name, entry.value)
        return None
    return embedder


def is_embedder(value: object) -> TypeGuard[type[Embedder]]:
    return isinstance(value, type) and issubclass(value, Embedder)


def mode_of(embedder: type[Embedder]) -> str:
    """The name by which a configuration chooses it."""
    field = embedder.model_fields.get("mode")
    return str(field.default) if field is not None else ""


embedder_classes = EmbedderRegistry().classes

if TYPE_CHECKING:
    Embedding = Embedder
else:

    class Embedding:
        """The type of the field `embedding`: `embedding: Embedding = choice("mode")`.

        A package may contain a destination and an embedder. Neither has to be imported first: a class that is created
        too early completes itself on first use, like one with an unresolved forward reference.
        """

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            try:
                return handler.generate_schema(Union[embedder_classes()])  # noqa: UP007 - of a tuple
            except ImportInProgressError as error:
                raise PydanticUndefinedAnnotation("Embedding", "an embedder is being imported") from error
