"""Fetches a document that a connector begins with: bounded in size and time, over HTTP only."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kitestring.declarative.builder.http_call import origin_of
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.http import Session
from kitestring.http.message import Response, charset_of

LARGEST = 16 * 1024 * 1024
"""Bytes of a document."""
LONGEST_S = 30.0
TIMEOUT_S = 10.0


@dataclass(slots=True)
class Document:
    """A fetched document: its text, its media type, and the address where it was in the end."""

    text: str
    media_type: str
    url: str


def fetch_document(url: str, largest: int = LARGEST) -> Document:
    """The document at an address, redirects followed. `ConfigError` for one that is refused, too large or not there.

    Which hosts may be reached is decided where the process connects (the egress policy of a hardened server).
    """
    origin_of(url)
    with Session(timeout_s=TIMEOUT_S, connect_timeout_s=TIMEOUT_S, max_wait_s=5.0) as session:
        try:
            response = session.request("GET", url, stream=True, headers={"Accept": "*/*"})
        except TransientError as error:
            raise ConfigError(f"the document cannot be fetched: {error.message}", hint=error.hint) from error
        except ConfigError:
            raise
        except KitestringError as error:
            raise ConfigError(f"the document cannot be fetched: {error.message}", hint="Check the address.") from error
        content = limited_content(response, largest)
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Document(content.decode(charset_of(response.headers) or "utf-8", "replace"), media_type, response.url)


def limited_content(response: Response, largest: int) -> bytes:
    chunks: list[bytes] = []
    size, began = 0, time.monotonic()
    for chunk in response.chunks():
        size += len(chunk)
        chunks.append(chunk)
        if size > largest or time.monotonic() - began > LONGEST_S:
            response.close()
            limit = f"{largest / 1024 / 1024:.3g} MB" if size > largest else f"{LONGEST_S:g} s"
            raise ConfigError(
                f"{response.request_line} takes more than {limit}", hint="Send the text of a smaller document instead."
            )
    return b"".join(chunks)
