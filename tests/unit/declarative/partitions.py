"""Streams with partitions: by colour, by owner, with a cursor."""

from __future__ import annotations

from typing import Any

from loopback import Api, cursor, stream

PLACE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "color"}


def colors(values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "ListPartitionRouter", "values": values, "cursor_field": "color", **more}


def parent(url: str, **more: Any) -> dict[str, Any]:
    owners = more.pop("stream", None) or stream("owners", url=url, path="/owners", **more.pop("owner", {}))
    return {"type": "ParentStreamConfig", "stream": owners, "parent_key": "id", "partition_field": "owner", **more}


def substream(url: str, *parents: Any, **more: Any) -> dict[str, Any]:
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": list(parents) or [parent(url)]}
    path = more.pop("path", "/owners/{{ stream_partition.owner }}/things")
    return stream(url=url, path=path, retriever={"partition_router": router, **more.pop("retriever", {})}, **more)


def owners(*ids: Any) -> dict[str, Any]:
    return {"data": [{"id": item} for item in ids]}


def day(text: str, **more: Any) -> dict[str, Any]:
    return {"id": text, "updated_at": f"2024-{text}T00:00:00Z", **more}


SINCE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}


def routed(api: Api, **more: Any) -> dict[str, Any]:
    api.answers.setdefault(
        "/things", lambda call: {"data": [day("01-10" if call.query["color"] == "red" else "02-10")]}
    )
    return stream(
        url=api.url,
        incremental_sync=cursor(start_time_option=SINCE, **more),
        retriever={"partition_router": colors(["red", "blue"], request_option=PLACE)},
    )
