"""The formats of files, one class each, for writing and reading."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kitestring.errors import ConfigError
from kitestring.files.formats.csv import Csv
from kitestring.files.formats.format import SUFFIXES, DamageError, EncodedFiles, Format
from kitestring.files.formats.json_lines import JsonLines
from kitestring.files.formats.parquet import Parquet

__all__ = ["DATA", "FORMATS", "DamageError", "EncodedFiles", "Format", "format_of"]

FORMATS: Mapping[str, type[Format]] = {format_.name: format_ for format_ in (Parquet, JsonLines, Csv)}
"""By the name in configurations and in suffixes of files."""

DATA = re.compile(rf"\.({'|'.join(FORMATS)})(\.gz|\.zst)?$")
"""The suffixes of data files."""


def format_of(name: str, row_group_rows: int = 131_072) -> Format:
    """The format of a file by its name. `ConfigError` for an unknown suffix."""
    match = DATA.search(name)
    if match is None:
        raise ConfigError(f"{name} is not a file of this destination", hint="Move it to another folder.")
    format_ = FORMATS[match[1]]
    suffix = match[2] or ""
    compression = "default" if format_.inside else next(kind for kind, end in SUFFIXES.items() if end == suffix)
    return format_(compression, row_group_rows)
