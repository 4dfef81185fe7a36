"""Kitestring moves data into the places where it is searched: the public names, each imported on first use."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kitestring import moved

if TYPE_CHECKING:
    from kitestring.answers import (
        Answer,
        LanguageModel,
        Passage,
        Passages,
        RecordName,
        Reranker,
        SimilarRecord,
        Turn,
        answering,
        ask,
        similar,
    )
    from kitestring.batch import Batch
    from kitestring.config import Config, choice, option, secret
    from kitestring.destination import Counts, Deletes, Destination, Estimates, ListsKeys, Marks, Searches, Truncates
    from kitestring.engine import Estimate, Progress, Result, Selection, StreamResult
    from kitestring.errors import (
        AuthError,
        Cancelled,
        ConfigError,
        ConnectorError,
        KitestringError,
        RecordError,
        SchemaError,
        TransientError,
    )
    from kitestring.facts import Facts
    from kitestring.library import destination, search, source, sync
    from kitestring.project import Project
    from kitestring.source import Source, stream
    from kitestring.types import (
        Catalog,
        Checkpoint,
        Partition,
        Receipt,
        Record,
        Reject,
        SchemaChange,
        State,
        Stream,
        Suspicion,
        SyncMode,
        Truncate,
        Write,
    )

__version__ = "0.1.0"

# gRPC writes lines of its own to standard error (terminals, logs of jobs), and decides at its import whether to. What
# went wrong comes as an exception. A value that the user has set stays; child processes inherit it.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__all__ = [
    "Answer",
    "AuthError",
    "Batch",
    "Cancelled",
    "Catalog",
    "Checkpoint",
    "Config",
    "ConfigError",
    "ConnectorError",
    "Counts",
    "Deletes",
    "Destination",
    "Estimate",
    "Estimates",
    "Facts",
    "KitestringError",
    "LanguageModel",
    "ListsKeys",
    "Marks",
    "Partition",
    "Passage",
    "Passages",
    "Progress",
    "Project",
    "Receipt",
    "Record",
    "RecordError",
    "RecordName",
    "Reject",
    "Reranker",
    "Result",
    "SchemaChange",
    "SchemaError",
    "Searches",
    "Selection",
    "SimilarRecord",
    "Source",
    "State",
    "Stream",
    "StreamResult",
    "Suspicion",
    "SyncMode",
    "TransientError",
    "Truncate",
    "Truncates",
    "Turn",
    "Write",
    "__version__",
    "answering",
    "ask",
    "choice",
    "destination",
    "option",
    "search",
    "secret",
    "similar",
    "source",
    "stream",
    "sync",
]

_WHERE = {
    "answers": (
        *("Answer", "LanguageModel", "Passage", "Passages", "RecordName", "Reranker", "SimilarRecord", "Turn"),
        *("answering", "ask", "similar"),
    ),
    "batch": ("Batch",),
    "config": ("Config", "choice", "option", "secret"),
    "destination": ("Counts", "Deletes", "Destination", "Estimates", "ListsKeys", "Marks", "Searches", "Truncates"),
    "engine": ("Estimate", "Progress", "Result", "Selection", "StreamResult"),
    "errors": (
        *("AuthError", "Cancelled", "ConfigError", "ConnectorError"),
        *("KitestringError", "RecordError", "SchemaError", "TransientError"),
    ),
    "facts": ("Facts",),
    "library": ("destination", "search", "source", "sync"),
    "project": ("Project",),
    "source": ("Source", "stream"),
    "types": (
        *("Catalog", "Checkpoint", "Partition", "Receipt", "Record"),
        *("Reject", "SchemaChange", "State", "Stream", "Suspicion", "SyncMode", "Truncate", "Write"),
    ),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}


_RENAMED = {"one_of": "choice"}
"""Old names, until version 0.2."""


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        warnings.warn(
            f"kitestring.{name} is now kitestring.{_RENAMED[name]}; Kitestring 0.2 drops the old name",
            DeprecationWarning,
            stacklevel=2,
        )
        return __getattr__(_RENAMED[name])
    if name not in _MODULES:
        raise AttributeError(f"module 'kitestring' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"kitestring.{_MODULES[name]}"), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """`kitestring.source` and `kitestring.destination` are functions, and files of the same names lie in this folder.

    Importing a file binds it as an attribute of its package. For these two names that is left out, so that
    `ks.source(...)` means the function after any import of the file; `from kitestring.source import Source` is not
    affected.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in ("source", "destination")):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
sys.meta_path.append(moved.MovedModules())  # the last finder: an import by a current name never asks it
