"""A loopback API whose answers each test writes, and short ways to manifests, sources and records."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kitestring.batch import Batch
from kitestring.declarative import DeclarativeSource
from kitestring.types import Checkpoint, Reject, Suspicion, SyncMode, Write


@dataclass
class Call:
    """A request that the API got."""

    method: str
    path: str
    query: dict[str, Any]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Api:
    """`api.answers[path]` is a page, a list of pages for one call after the other, or a function of the call."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def answer(self, call: Call) -> tuple[int, Any, dict[str, str]]:
        response = self.answers.get(call.path, (404, {"message": "no such page"}))
        if isinstance(response, list):
            response = response.pop(0) if len(response) > 1 else response[0]
        if callable(response):
            response = response(call)
        if not isinstance(response, tuple):
            response = (200, response)
        status, page, *headers = response
        return status, page, headers[0] if headers else {}

    def paths(self) -> list[str]:
        return [call.path for call in self.calls]


@contextmanager
def serving() -> Iterator[Api]:
    """The API on a free port."""
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *_: Any) -> None: ...

        def answer_request(self) -> None:
            parts = urlsplit(self.path)
            query: dict[str, Any] = {}
            for name, value in parse_qsl(parts.query, keep_blank_values=True):
                query[name] = (
                    value
                    if name not in query
                    else [*([query[name]] if isinstance(query[name], str) else query[name]), value]
                )
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = Call(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
            state.calls.append(call)
            status, page, headers = state.answer(call)
            data = page if isinstance(page, bytes) else json.dumps(page).encode()
            if "Date" in headers:
                self.send_response_only(status)
            else:
                self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = answer_request

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def stream(name: str = "things", url: str = "", path: str = "/things", **more: Any) -> dict[str, Any]:
    """A stream as it stands in a manifest; `requester` and `retriever` add to these parts."""
    requester = {"type": "HttpRequester", "url_base": url, "path": path, **more.pop("requester", {})}
    requester.setdefault(
        "error_handler", {"type": "DefaultErrorHandler", "max_retries": 1, "backoff_strategies": [NO_WAIT]}
    )
    retriever = {
        "type": "SimpleRetriever",
        "requester": requester,
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            **more.pop("selector", {}),
        },
        **more.pop("retriever", {}),
    }
    return {"type": "DeclarativeStream", "name": name, "primary_key": ["id"], "retriever": retriever, **more}


NO_WAIT = {"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": 0.01}


def manifest(*streams: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "6.48.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [streams[0]["name"]] if streams else ["x"]},
        "streams": list(streams),
        **more,
    }


def cursor(**more: Any) -> dict[str, Any]:
    return {
        "type": "DatetimeBasedCursor",
        "cursor_field": "updated_at",
        "datetime_format": "%Y-%m-%dT%H:%M:%SZ",
        "start_datetime": "2024-01-01T00:00:00Z",
        "end_datetime": "2024-03-01T00:00:00Z",
        **more,
    }


DEDUPLICATED = Write(keep="latest")


@dataclass
class Sync:
    """What a stream gave, and its state in the end."""

    records: list[dict[str, Any]]
    state: dict[str, Any]
    rejects: list[Reject]
    states: list[dict[str, Any]]
    suspicions: list[str]


def sync(
    source: DeclarativeSource,
    name: str = "things",
    state: dict[str, Any] | None = None,
    write: Write = DEDUPLICATED,
) -> Sync:
    """Read one stream as the engine does, one partition after the other."""
    response = source.discover().get(name)
    assert response is not None
    response = replace(response, write=write)
    if state is not None:
        response = replace(response, sync_mode=SyncMode.incremental)
    saved = {name: state} if state else {}
    result = Sync([], dict(state or {}), [], [], [])
    for partition in source.partitions([response], saved):
        for item in source.read(partition, saved):
            if isinstance(item, Batch):
                result.records.extend(item.rows())
            elif isinstance(item, Reject):
                result.rejects.append(item)
            elif isinstance(item, Suspicion):
                result.suspicions.append(item.reason)
            elif isinstance(item, Checkpoint):
                result.state = json.loads(json.dumps(source.merge(name, result.state, item.state)))
                result.states.append(result.state)
    result.state = source.finish(response, result.state)
    return result


Open = Callable[..., DeclarativeSource]
