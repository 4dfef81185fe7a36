"""Every embedder, one file each, and the choice of them that a configuration has.

An embedder of another package is an entry point in the group `kitestring.embedders`, named as its `mode`.
"""

from __future__ import annotations

import logging
import sys
import threading
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Union

from pydantic.errors import PydanticUndefinedAnnotation

from kitestring.vector.embedder import Embedder
from kitestring.vector.embedders.azure_openai import AzureOpenAI
from kitestring.vector.embedders.cohere import Cohere
from kitestring.vector.embedders.fake import Fake
from kitestring.vector.embedders.from_field import FromField
from kitestring.vector.embedders.local import Local
from kitestring.vector.embedders.openai import OpenAI
from kitestring.vector.embedders.openai_compatible import OpenAICompatible

log = logging.getLogger("kitestring.vector")

OURS: tuple[type[Embedder], ...] = (OpenAI, Cohere, Fake, AzureOpenAI, OpenAICompatible, FromField, Local)


class Importing(Exception):
    """The package of an embedder is being imported, and asks for the embedders while it is."""


class Kinds:
    """The classes, looked for once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._classes: tuple[type[Embedder], ...] | None = None
        self._loading = False

    def all(self) -> tuple[type[Embedder], ...]:
        """Ours, then those of other packages by name. One that cannot be used is left out with a warning: what does not
        use it goes on. `Importing` where one of them asks while it is imported itself."""
        with self._lock:
            if self._classes is None:
                if self._loading:
                    raise Importing
                self._loading = True
                try:
                    self._classes = (*OURS, *self._third_party())
                finally:
                    self._loading = False
            return self._classes

    def _third_party(self) -> list[type[Embedder]]:
        modes = {mode_of(embedder) for embedder in OURS}
        classes = []
        for entry in sorted(entry_points(group="kitestring.embedders"), key=lambda entry: entry.name):
            embedder = loaded(entry)
            if embedder is None:
                continue
            if mode_of(embedder) != entry.name or entry.name in modes:
                log.warning("the embedder %s is left out: its mode is %s", entry.name, mode_of(embedder) or "missing")
                continue
            modes.add(entry.name)
            classes.append(embedder)
        return classes


def loaded(entry: EntryPoint) -> type[Embedder] | None:
    """The class of an entry point, None where it is none. `Importing` where its module is only half there yet."""
    try:
        embedder = entry.load()
    except Exception as error:  # whatever another package does wrong
        if getattr(getattr(sys.modules.get(entry.module), "__spec__", None), "_initializing", False):
            raise Importing from error
        log.warning("the embedder %s cannot be imported", entry.name, exc_info=True)
        return None
    if not (isinstance(embedder, type) and issubclass(embedder, Embedder)):
        log.warning("the embedder %s is left out: %s is none", entry.name, entry.value)
        return None
    return embedder


def mode_of(embedder: type[Embedder]) -> str:
    """The name that a configuration chooses it by."""
    field = embedder.model_fields.get("mode")
    return str(field.default) if field is not None else ""


kinds = Kinds().all

if TYPE_CHECKING:
    Embedding = Embedder
else:

    class Embedding:
        """The type of the field `embedding`: `embedding: Embedding = one_of("mode")`.

        A package may bring a destination and an embedder. So that neither has to be imported before the other, a class
        that is made too early completes itself when it is used, as one with an unknown forward reference does.
        """

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            try:
                return handler.generate_schema(Union[kinds()])  # noqa: UP007 - of a tuple
            except Importing as error:
                raise PydanticUndefinedAnnotation("Embedding", "an embedder is being imported") from error
