"""One call of a source with an authenticator."""

from __future__ import annotations

from typing import Any

from loopback import Api, Open, stream, sync

PAGE = {"data": [{"id": 1}]}


def read(
    api: Api, open_source: Open, authenticator: dict[str, Any], config: dict[str, Any] | None = None, **requester: Any
) -> Any:
    api.answers.setdefault("/things", PAGE)
    source = open_source(stream(url=api.url, requester={"authenticator": authenticator, **requester}), config=config)
    sync(source)
    return next(call for call in reversed(api.calls) if call.path == "/things")
