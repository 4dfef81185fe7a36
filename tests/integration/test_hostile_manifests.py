"""Hostile manifests through the command line: each ends soon, in little memory, with an error that says why."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MB = 1024 * 1024


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """`/huge` answers with 200 MB, `/bomb` with 300 MB in a small gzip, `/circle` with the same page for ever."""
    bomb = gzip.compress(b" " * (300 * MB), 1)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            page = b'{"data": [{"id": 1}], "next": "same"}'
            self.send_response(200)
            if path == "/bomb":
                self.send_header("Content-Encoding", "gzip")
                page = bomb
            if path != "/huge":
                self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            try:
                if path == "/huge":
                    self.wfile.write(b'{"data": [{"id": 1, "text": "')
                    for _ in range(200):
                        self.wfile.write(b"x" * MB)
                    page = b'"}]}'
                self.wfile.write(page)
            except OSError:  # whoever asked has heard enough
                pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def manifest(url: str, path: str = "/circle", **more: Any) -> dict[str, Any]:
    requester = {"type": "HttpRequester", "url_base": url, "path": path}
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "after"}
    stream = {
        "type": "DeclarativeStream",
        "name": "things",
        "retriever": {
            "type": "SimpleRetriever",
            "requester": requester,
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": option,
                "pagination_strategy": {"type": "CursorPagination", "cursor_value": "{{ response.next }}"},
            },
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
    }
    check = {"type": "CheckStream", "stream_names": ["things"]}
    return {"version": "6.48.0", "type": "DeclarativeSource", "check": check, "streams": [stream], **more}


# A process that a large one starts counts the large one's memory as its own peak: so a small one starts it.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(f"PEAK{peak} {usage.ru_utime + usage.ru_stime}", file=sys.stderr)
sys.exit(code)
"""


def refused(folder: Path, text: str, command: str = "check") -> str:
    """The error with which a command refuses a manifest, within 20 s of CPU time and 400 MB."""
    (folder / "hostile.yaml").write_text(text)
    words = [sys.executable, "-m", "kitestring", command, "./hostile.yaml", "-c", "{}"]
    words += ["things"] if command == "read" else []
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    output, _, usage = (done.stdout + done.stderr).rpartition("PEAK")
    peak, cpu_s = usage.split()
    assert done.returncode not in (0, -9), output[-500:]
    assert "Traceback" not in output
    assert float(cpu_s) < 20, output[-500:]
    assert int(peak) < 400 * MB, output[-500:]
    return " ".join(output.split())


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("{% for a in 'x' * 99999 %}{% for b in 'x' * 99999 %}{% endfor %}{% endfor %}", "steps|computes for more"),
        ("{% set n = namespace(x='ab') %}{% for i in 'x' * 60 %}{% set n.x = n.x ~ n.x %}{% endfor %}", "makes more"),
        ("{% include '/etc/passwd' %}", "cannot include or import"),
        ("{{ open('/etc/passwd').read() }}", "open is not available here"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
    ],
)
def test_a_template_that_loops_or_reads_files(api: str, tmp_path: Path, path: str, fact: str) -> None:
    output = refused(tmp_path, json.dumps(manifest(api, path)))
    assert re.search(fact, output)
    assert "streams[0].retriever.requester" in output


def test_a_yaml_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [" + ", ".join(["x" * 60] * 100_000) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    text = "\n".join(lines)
    assert len(text) > 5 * MB
    assert "grows beyond 5,000,000 values" in refused(tmp_path, text)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    assert "the limit is" in refused(tmp_path, "# " + "x" * (17 * MB))


def test_a_reference_to_itself(api: str, tmp_path: Path) -> None:
    round_about = {"a": {"$ref": "#/definitions/b"}, "b": {"inner": {"$ref": "#/definitions/a"}}}
    output = refused(tmp_path, json.dumps(manifest(api, definitions=round_about)))
    assert "the reference is circular" in output


def test_an_alias_that_contains_itself(tmp_path: Path) -> None:
    assert "contains itself" in refused(tmp_path, "streams: &a\n  - name: x\n    inner: *a\n")


@pytest.mark.parametrize("path", ["/huge", "/bomb"])
def test_a_response_that_is_too_large(api: str, tmp_path: Path, path: str) -> None:
    assert f"{path} answers with more than 128 MB at once" in refused(tmp_path, json.dumps(manifest(api, path)), "read")


def test_pages_that_never_end(api: str, tmp_path: Path) -> None:
    output = refused(tmp_path, json.dumps(manifest(api)), "read")
    assert "the same page repeats with the token 'same'" in output
