"""A manifest with Python components, run by Airbyte's CDK through the command line.

`KITESTRING_CDK_PYTHON` names a Python that has `airbyte-cdk` installed; without it the package comes from PyPI.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from integration.foreign_packages import command, installed, surroundings

from kitestring.airbyte import cdk
from kitestring.airbyte.custom_code import INTERPRETER

pytestmark = pytest.mark.slow

COMPONENTS = '''
"""An API that answers with lines of key=value."""

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

import requests
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor


@dataclass
class Pairs(RecordExtractor):
    config: Mapping[str, Any]

    def extract_records(self, response: requests.Response) -> Iterable[Mapping[str, Any]]:
        for line in response.text.splitlines():
            yield dict(pair.split("=") for pair in line.split())
'''


@pytest.fixture
def api() -> Iterator[str]:
    """Notes by day, one line each, from the day asked for."""
    notes = ["id=1 day=2024-01-03", "id=2 day=2024-01-08", "id=3 day=2024-01-09"]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            since = dict(parse_qsl(urlsplit(self.path).query))["since"]
            body = "\n".join(note for note in notes if note[-10:] >= since).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def manifest() -> dict[str, Any]:
    day = {"type": "MinMaxDatetime", "datetime_format": "%Y-%m-%d"}
    notes = {
        "type": "DeclarativeStream",
        "name": "notes",
        "primary_key": ["id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": "{{ config['address'] }}", "path": "/notes"},
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {
                    "type": "CustomRecordExtractor",
                    "class_name": "source_declarative_manifest.components.Pairs",
                },
            },
        },
        "incremental_sync": {
            "type": "DatetimeBasedCursor",
            "cursor_field": "day",
            "datetime_format": "%Y-%m-%d",
            "start_datetime": {**day, "datetime": "2024-01-01"},
            "end_datetime": {**day, "datetime": "2024-01-31"},
            "start_time_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "since",
            },
        },
        "schema_loader": {
            "type": "InlineSchemaLoader",
            "schema": {"type": "object", "properties": {"id": {"type": "string"}, "day": {"type": "string"}}},
        },
    }
    form = {"type": "object", "properties": {"address": {"type": "string"}}}
    return {
        "version": "6.48.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["notes"]},
        "streams": [notes],
        "spec": {"type": "Spec", "connection_specification": form},
    }


@pytest.fixture
def kitestring(tmp_path: Path, api: str) -> Any:
    """Runs a command in a folder with the manifest and its code: exit code, output, log."""
    home = tmp_path / "home"
    if not os.environ.get(INTERPRETER):
        installed(cdk.requirement(tmp_path, manifest()), home)
    (tmp_path / "own.yaml").write_text(json.dumps(manifest()))
    (tmp_path / "components.py").write_text(COMPONENTS)
    config = {"address": api}

    def run(*words: str, **more: Any) -> tuple[int, str, str]:
        values = json.dumps({**config, **more})
        done = subprocess.run(
            command(*(values if word == "CONFIG" else word for word in words)),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=surroundings(home),
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_manifest_with_python_is_checked_and_synced_by_the_cdk(kitestring: Any, tmp_path: Path) -> None:
    code, out, output = kitestring("check", "./own.yaml", "-c", "CONFIG", "--json", allow_custom_code=True)
    assert code == 0, out + output
    assert "own.yaml has Python components (Pairs): Airbyte's CDK runs it" in output
    words = ["sync", "--source", "./own.yaml", "--source-config", "CONFIG", "-s", "notes", "--state", "state.json"]
    words += ["--destination", "files", "--destination-config", "path=out", "--destination-config", "format=jsonl"]
    code, out, output = kitestring(*words, "--json", "-q", allow_custom_code=True)
    assert code == 0, out + output
    rows = [json.loads(line) for path in (tmp_path / "out").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == ["1", "2", "3"]
    code, out, output = kitestring(*words, "--json", "-q", allow_custom_code=True)
    assert code == 0, out + output
    assert json.loads(out)["streams"]["notes"]["read"] == 1, "only the day of the saved state is read again"


def test_without_permission_nothing_is_run(kitestring: Any) -> None:
    code, out, output = kitestring("check", "./own.yaml", "-c", "CONFIG")
    assert code != 0
    assert "components.Pairs" in out + output
    assert "allow_custom_code: true" in out + output
