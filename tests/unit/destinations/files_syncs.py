"""Syncs into files, and what a reader then sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kitestring.destinations.files import Files
from kitestring.engine import Selection
from kitestring.engine import sync as run
from kitestring.files.stream_folder import stream_folder
from kitestring.testing.memory import MemorySource
from kitestring.types import Stream

FORMATS = ["parquet", "jsonl", "csv"]


BEFORE = Path(__file__).parents[2] / "fixtures" / "files_664614f.tar.gz"


def sync(
    path: Path,
    format_: str,
    records: list[dict[str, Any]],
    mode: str = "append_dedup",
    name: str = "s",
    key: str | None = "id",
    schema: Any = None,
    **options: Any,
) -> Any:
    source = MemorySource(
        records={name: records},
        primary_keys={name: key} if key else {},
        schemas={name: {"type": "object", "properties": schema}} if schema else {},
    )
    return run(source, Files(path=str(path), format=format_, **options), [Selection(name, write_mode=mode)])


def values(path: Path, field: str = "text", name: str = "s") -> list[Any]:
    """The values of a field in all visible files, as the destination reads them."""
    files, stream = Files(path=str(path)), Stream(name)
    results: list[Any] = []
    for file in files.store().names(stream_folder(stream)):
        for table in files.format_of(file).raw(files.store().open(stream_folder(stream), file)):
            results += files.format_of(file).values(table, field)
    return sorted(results, key=str)


def keyed(*ids: Any, text: str = "{n}") -> list[dict[str, Any]]:
    return [{"id": key, "text": text.format(n=n)} for n, key in enumerate(ids)]
