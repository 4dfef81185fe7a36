"""The folder of state, rejects and logs: `.kitestring` beside the project file, or `KITESTRING_HOME`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kitestring.errors import ConfigError

HOME = ".kitestring"


def home(folder: str | os.PathLike[str] | None = None) -> Path:
    """`KITESTRING_HOME`, or `.kitestring` in this folder (default: the working folder). Not created here."""
    path = os.environ.get("KITESTRING_HOME")
    return Path(path).expanduser() if path else Path(folder or os.curdir) / HOME


def private(folder: Path) -> Path:
    """Create a folder that git ignores: rejected records are private data."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x") as file:
            file.write("*\n")
    except OSError as error:
        raise ConfigError(
            f"the folder {folder} cannot be made: {error.strerror or error}",
            hint="Check the rights of the folder above, or set KITESTRING_HOME.",
        ) from error
    return folder
