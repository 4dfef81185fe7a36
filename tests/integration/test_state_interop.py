"""State goes both ways between Airbyte's engine and ours.

`KITESTRING_CDK_PYTHON` names a Python that has `airbyte-cdk` installed; without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from kitestring.declarative.cursor import WRITTEN_DIGESTS

CDK = os.environ.get("KITESTRING_CDK_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CDK, reason="KITESTRING_CDK_PYTHON names no Python with airbyte-cdk"),
]
ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "airbyte": [CDK, "-c", "from airbyte_cdk.cli.source_declarative_manifest import run; run()"],
    "kitestring": [sys.executable, "-m", "kitestring.airbyte.manifest_command"],
}
SHOPS = [{"id": 1}, {"id": 2}]
EARLY = [
    {"id": 1, "shop": 1, "day": "2024-01-03"},
    {"id": 2, "shop": 1, "day": "2024-01-18"},
    {"id": 3, "shop": 2, "day": "2024-01-05"},
]
LATE = [
    {"id": 4, "shop": 1, "day": "2024-01-25"},
    {"id": 5, "shop": 2, "day": "2024-02-02"},
    {"id": 6, "shop": 3, "day": "2024-02-03"},
]


class Api:
    """Orders of shops by day. `orders` and `shops` may grow between two runs."""

    def __init__(self) -> None:
        self.url = ""
        self.orders: list[dict[str, Any]] = []
        self.shops: list[dict[str, Any]] = []
        self.calls: list[str] = []

    def page(self, target: str) -> list[dict[str, Any]]:
        parts = urlsplit(target)
        fields = dict(parse_qsl(parts.query))
        if parts.path == "/shops":
            return self.shops
        self.calls.append(target)
        shop = int(parts.path.split("/")[2]) if parts.path != "/orders" else 0
        return [
            order
            for order in self.orders
            if fields["since"] <= order["day"] <= fields["until"] and (not shop or order["shop"] == shop)
        ]


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            body = json.dumps(state.page(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


def manifest(url: str, kind: str) -> dict[str, Any]:
    def retriever(path: str, **more: Any) -> dict[str, Any]:
        extractor = {"type": "DpathExtractor", "field_path": []}
        return {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": url, "path": path, "http_method": "GET"},
            "record_selector": {"type": "RecordSelector", "extractor": extractor},
            **more,
        }

    schema = {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}}
    option = {"type": "RequestOption", "inject_into": "request_parameter"}
    day = {"type": "MinMaxDatetime", "datetime_format": "%Y-%m-%d"}
    cursor = {
        "type": "DatetimeBasedCursor",
        "cursor_field": "day",
        "datetime_format": "%Y-%m-%d",
        "cursor_granularity": "P1D",
        "step": "P10D",
        "lookback_window": "P2D",
        "start_datetime": {**day, "datetime": "2024-01-01"},
        "end_datetime": {**day, "datetime": "{{ config['until'] }}"},
        "start_time_option": {**option, "field_name": "since"},
        "end_time_option": {**option, "field_name": "until"},
        "global_substream_cursor": kind == "global",
    }
    shops = {
        "type": "DeclarativeStream",
        "name": "shops",
        "primary_key": ["id"],
        "retriever": retriever("/shops"),
        "schema_loader": schema,
    }
    parent = {"type": "ParentStreamConfig", "stream": shops, "parent_key": "id", "partition_field": "shop_id"}
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}
    orders = {
        "type": "DeclarativeStream",
        "name": "orders",
        "primary_key": ["id"],
        "retriever": retriever("/orders")
        if kind == "datetime"
        else retriever("/shops/{{ stream_partition.shop_id }}/orders", partition_router=router),
        "incremental_sync": cursor,
        "schema_loader": schema,
    }
    spec = {"type": "Spec", "connection_specification": {"type": "object", "properties": {"until": {"type": "string"}}}}
    check = {"type": "CheckStream", "stream_names": ["orders"]}
    return {"version": "6.48.0", "type": "DeclarativeSource", "check": check, "streams": [orders], "spec": spec}


def read(program: str, folder: Path, until: str, state: Any = None) -> tuple[list[int], Any]:
    """The ids of the records, and the stream's last state."""
    stream = {
        "name": "orders",
        "json_schema": {"type": "object", "properties": {}},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": True,
        "default_cursor_field": ["day"],
    }
    selected = {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}
    files: dict[str, Any] = {"config": {"until": until}, "catalog": {"streams": [selected]}}
    if state is not None:
        body = {"stream_descriptor": {"name": "orders"}, "stream_state": state}
        files["state"] = [{"type": "STREAM", "stream": body}]
    words = ["read", "--manifest-path", str(folder / "manifest.yaml")]
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
        words += [f"--{name}", str(folder / f"{name}.json")]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)} if program == "kitestring" else dict(os.environ)
    done = subprocess.run([*PROGRAMS[program], *words], capture_output=True, text=True, env=surroundings, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    records = [message["record"]["data"]["id"] for message in messages if message["type"] == "RECORD"]
    states = [message["state"]["stream"]["stream_state"] for message in messages if message["type"] == "STATE"]
    return sorted(records), states[-1]


def settled(state: Any) -> Any:
    """A state without what depends on how long a run took and without our own keys, its partitions in order."""
    results = {k: v for k, v in state.items() if k != "lookback_window" and not k.startswith("kitestring_")}
    if "states" in results:
        results["states"] = sorted(results["states"], key=lambda item: json.dumps(item, sort_keys=True))
    return results


@pytest.mark.parametrize("kind", ["datetime", "partitions", "global"])
def test_a_state_is_continued_by_the_other_engine_as_by_its_own(api: Api, tmp_path: Path, kind: str) -> None:
    (tmp_path / "manifest.yaml").write_text(json.dumps(manifest(api.url, kind)))
    firsts = {}
    for program in PROGRAMS:
        api.orders, api.shops = EARLY, SHOPS
        firsts[program] = read(program, tmp_path, "2024-01-20")
    assert [settled(state) for _, state in firsts.values()] == [settled(firsts["airbyte"][1])] * 2
    assert all(ids == [1, 2, 3] for ids, _ in firsts.values())
    api.orders, api.shops = EARLY + LATE, [*SHOPS, {"id": 3}]
    ends = {}
    for before in PROGRAMS:
        for after in PROGRAMS:
            api.calls.clear()
            ids, state = read(after, tmp_path, "2024-02-10", firsts[before][1])
            ends[before, after] = (ids, sorted(api.calls), settled(state))
    expected = ends["airbyte", "airbyte"]
    assert ends["kitestring", "airbyte"] == expected
    ours = ends["airbyte", "kitestring"]
    assert ends["kitestring", "kitestring"] == ours
    if kind == "partitions":  # a partition that is not in the state is read from the start here
        new = set(ours[1]) - set(expected[1])
        assert {call.partition("/orders")[0] for call in new} == {"/shops/3"}
        assert any("since=2024-01-01" in call for call in new)
    else:
        assert ours == expected
    assert set(expected[0]) >= {4, 5, 6}
    assert 1 not in expected[0]


@pytest.mark.parametrize("kind", ["datetime", "partitions", "global"])
def test_digests_beside_a_cursor_do_not_disturb_the_other_engine(api: Api, tmp_path: Path, kind: str) -> None:
    (tmp_path / "manifest.yaml").write_text(json.dumps(manifest(api.url, kind)))
    api.orders, api.shops = EARLY, SHOPS
    _, state = read("airbyte", tmp_path, "2024-01-20")
    known = json.loads(json.dumps(state))
    cursors = [known, known.get("state"), *(entry["cursor"] for entry in known.get("states", ()))]
    for place in cursors:
        if place and "states" not in place and "state" not in place:
            place[WRITTEN_DIGESTS] = {"2024-01-01": ["0123456789abcdef"]}
    api.orders = EARLY + LATE
    calls = []
    for before in (state, known):
        api.calls.clear()
        calls.append((read("airbyte", tmp_path, "2024-02-10", before)[0], sorted(api.calls)))
    assert calls[0] == calls[1]
