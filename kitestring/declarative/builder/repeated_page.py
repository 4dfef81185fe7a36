"""Says which parameter of the pagination an API may ignore, where two pages of a test read have the same answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from kitestring.declarative.builder.exchange import NOT_SHOWN

if TYPE_CHECKING:
    from kitestring.declarative.builder.exchange import Exchange

OF_EVERY_BODY = frozenset({"content-length", "content-type"})


def repeated_page(before: Exchange | None, exchange: Exchange | None, page: int) -> str:
    """Why the answer of a page, counted from 0, is doubtful; empty where it differs from that of the page before."""
    if before is None or exchange is None or not exchange.response or exchange.response == NOT_SHOWN:
        return ""
    if before.response != exchange.response:
        return ""
    former, current = dict(sent_values(before)), dict(sent_values(exchange))
    changed = [f"“{name}”" for name in current if former.get(name) != current[name]]
    if not changed:
        return (
            f"the requests and the answers of pages {page} and {page + 1} are the same: the pagination puts no page, "
            "offset or token into the request. Set where it goes."
        )
    return (
        f"the answers of pages {page} and {page + 1} are the same: the API ignores {' and '.join(changed)}, or its "
        "pages have other numbers. Check the name, the place and the first value in the pagination."
    )


def sent_values(exchange: Exchange) -> Iterator[tuple[str, Any]]:
    """The values of a request with their names: query, headers and the fields of the body."""
    address = urlsplit(exchange.url)
    yield "path", address.path
    yield from parse_qsl(address.query, keep_blank_values=True)
    yield from ((name, value) for name, value in exchange.headers.items() if name.lower() not in OF_EVERY_BODY)
    yield from fields_of(exchange.body)


def fields_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values of an object with their dotted names."""
    if not isinstance(value, Mapping):
        yield name or "body", value
        return
    for key, below in value.items():
        yield from fields_of(below, f"{name}.{key}" if name else str(key))
