"""The folder of a stream, its work folder, and the file that names their owner."""

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
"""Names that Windows does not allow for folders (https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file)."""


def stream_folder(stream: Stream, windows: bool = os.name == "nt") -> str:
    """The folder of a stream: its key, with characters that a file name cannot hold encoded as in a URL."""
    name = quote(stream.key, safe=" ()[]{}@+,;=!#$&'~^", errors="surrogatepass")
    if not name:
        return "%"  # no other name gives this
    if name.startswith("."):
        name = "%2E" + name[1:]
    if windows and WINDOWS.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}" if name[-1] not in ". " else f"{name[:-1]}%{ord(name[-1]):02X}"
    return name if len(name) <= 200 else f"{name[:180]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def work_folder(stream: Stream, part: str) -> str:
    return f"{WORK}/{stream_folder(stream)}/{part}"


def claim_folder(store: Store, stream: Stream) -> None:
    """Write the owner of a folder, before anything else is written to it. `ConfigError` if it is another stream's.

    A folder of an earlier version has no owner: the first stream gets it.
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
