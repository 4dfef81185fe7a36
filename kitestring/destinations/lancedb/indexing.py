"""The `indexing` block: the folder, the table and its indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, field_validator

from kitestring.config import Config, option


class Indexing(Config):
    """Where and how the chunks are stored."""

    model_config = ConfigDict(title="LanceDB folder and table")

    path: str = option(
        title="Folder",
        description="The folder of the database. It is created if it does not exist.",
        examples=["./vectors.lance"],
        order=1,
        local_path=True,
    )
    collection: str = option(
        "kitestring",
        title="Collection",
        description="The table. It is created if it does not exist.",
        order=2,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$",
    )
    metric: Literal["COSINE", "L2", "IP"] = option(
        "COSINE", title="Metric", description="How distances are measured.", order=3
    )
    index: Literal["NONE", "HNSW"] = option(
        "NONE",
        title="Index",
        description="NONE: every search is exact, and reads all vectors. HNSW: built for 10,000 chunks or more.",
        order=4,
    )
    hybrid: bool = option(
        False,
        title="Hybrid search",
        description="Index the words of the text too, in a table that is created.",
        order=5,
    )

    @field_validator("path")
    @classmethod
    def _a_folder(cls, path: str) -> str:
        if "://" in path:
            raise ValueError(f"this connector writes to a folder of this machine, and {path.partition('://')[0]}:// is"
                             " none")  # fmt: skip
        return path

    @property
    def folder(self) -> Path:
        return Path(self.path).expanduser().absolute()
