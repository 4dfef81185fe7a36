"""Where a stream stands: its folder, the folder of its work, and the note of whose they are."""

from __future__ import annotations

import hashlib
import os
import re
from urllib.parse import quote

from kitestring import json_codec
from kitestring.errors import ConfigError
from kitestring.files.store import OWNER, Store
from kitestring.types import Stream

WORK = ".kitestring"
WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[. ]", re.IGNORECASE | re.DOTALL)
"""Names that no folder of Windows has (https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file)."""


def stream_folder(stream: Stream, windows: bool = os.name == "nt") -> str:
    """The folder of a stream: its key, in which what a file name cannot hold is written as in a URL."""
    name = quote(stream.key, safe=" ()[]{}@+,;=!#$&'~^", errors="surrogatepass")
    if not name:
        return "%"  # which no other name gives
    if name.startswith("."):
        name = "%2E" + name[1:]
    if windows and WINDOWS.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}" if name[-1] not in ". " else f"{name[:-1]}%{ord(name[-1]):02X}"
    return name if len(name) <= 200 else f"{name[:180]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def work_folder(stream: Stream, part: str) -> str:
    return f"{WORK}/{stream_folder(stream)}/{part}"


def claim_folder(store: Store, stream: Stream) -> None:
    """Note whose folder it is, before anything is written to it. `ConfigError` where it is another stream's.

    A folder that an earlier version made has no note: who comes first has it.
    """
    ours = {"namespace": stream.namespace or None, "stream": stream.name}
    place = f"{WORK}/{stream_folder(stream)}"
    noted = json_codec.loads(store.claim(place, OWNER, json_codec.dumps(ours)))
    if noted != json_codec.loads(json_codec.dumps(ours)):
        raise ConfigError(
            f"the {describe(ours)} and the {describe(noted)} would share the folder {stream_folder(stream)}",
            hint="Give one of them another namespace, prefix or alias; or, if the other is written no more, delete "
            f"{place}/{OWNER} and its files.",
        )


def describe(owner: dict[str, str | None]) -> str:
    return f"stream {owner.get('stream')!r} " + (
        f"of the namespace {owner['namespace']!r}" if owner.get("namespace") else "without a namespace"
    )
