"""Golden cases of the language: a manifest, the API it talks to, and what is kept of a run. Knows no engine.

A case is a YAML file in `tests/golden/declarative`:

    about: what it shows
    config: {…}                       `url`, the API's address, is added
    api:                              answers by method, path and (some of) the query, the most particular one first
      GET /things: {json: {data: [{id: 1}]}}
      GET /things?page=2: [{status: 503}, {json: {data: []}}]       one after the other; the last one stays
    later: {…}                        answers that take the place of these after the first read
    state: {stream: {…}}              what the first read begins with
    do: [spec, check, discover, read, again]      the default is discover and read
    files: {schemas/things.json: …}   beside the manifest
    differs: why airbyte-cdk does something else
    manifest: {…}                     `version`, `check`, and the definitions below are added

An answer has `json`, `text`, `xml` or `lines`, packed where it says `gzip` or `zip`; `status` and `headers`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import threading
import zipfile
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kitestring.declarative.manifest import parse

FOLDER = Path(__file__).parents[2] / "golden" / "declarative"
DEFINITIONS: dict[str, Any] = {
    "api": {
        "type": "HttpRequester",
        "url_base": "{{ config['url'] }}",
        "path": "/things",
        "error_handler": {
            "type": "DefaultErrorHandler",
            "max_retries": 1,
            "backoff_strategies": [{"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": 0.01}],
        },
    },
    "data": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": ["data"]}},
    "simple": {
        "type": "SimpleRetriever",
        "requester": {"$ref": "#/definitions/api"},
        "record_selector": {"$ref": "#/definitions/data"},
    },
}
"""What every case may refer to: an API, the records of its pages, and a retriever of the two."""
ORDINARY = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"),
        *("authorization", "x-request-id", "traceparent"),
    }
)
"""Headers that say nothing about a manifest, or stand elsewhere in the golden."""


class Case:
    """One case and the text of its golden."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        values = parse(path.read_text("utf-8"))
        self.values: dict[str, Any] = values
        self.steps: list[str] = values.get("do", ["discover", "read"])
        manifest = dict(values["manifest"])
        manifest.setdefault("version", "6.48.0")
        manifest.setdefault("type", "DeclarativeSource")
        manifest["definitions"] = {**DEFINITIONS, **manifest.get("definitions", {})}
        names = [stream["name"] for stream in manifest.get("streams", ()) if "name" in stream]
        manifest.setdefault("check", {"type": "CheckStream", "stream_names": names[:1]})
        manifest.setdefault("spec", {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}})
        self.manifest = manifest
        self.golden = path.with_suffix(".txt")

    def lay(self, folder: Path, url: str) -> dict[str, str]:
        """The files a connector is called with, in a folder: their paths by name."""
        texts = {
            "manifest.yaml": json.dumps(self.manifest),
            "config.json": json.dumps({"url": url, **self.values.get("config", {})}).replace("http://api", url),
            **{name: json.dumps(value) for name, value in self.values.get("files", {}).items()},
        }
        state = [
            {
                "type": "STREAM",
                "stream": {"stream_descriptor": {"name": name}, "stream_state": value},
            }
            for name, value in self.values.get("state", {}).items()
        ]
        texts["state.json"] = json.dumps(state)
        (folder / "staging").mkdir()
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return {name.partition(".")[0]: str(folder / name) for name in texts}


def cases() -> list[Case]:
    return [Case(path) for path in sorted(FOLDER.glob("*.yaml"))]


class Api:
    """The API of a case; `calls` are the requests as lines."""

    def __init__(self, case: Case) -> None:
        self.url = ""
        self.calls: list[str] = []
        self.rules: list[tuple[str, str, dict[str, str], list[dict[str, Any]]]] = []
        self.begin(case.values.get("api", {}))

    def begin(self, answers: Mapping[str, Any]) -> None:
        """Answer like this from now on; what is not named again stays."""
        for key, value in answers.items():
            method, _, target = key.partition(" ")
            parts = urlsplit(target)
            rule = (method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
            self.rules = [single_rule for single_rule in self.rules if single_rule[:3] != rule]
            self.rules.append((*rule, list(value) if isinstance(value, list) else [value]))
        self.rules.sort(key=lambda rule: -len(rule[2]))

    def answer(self, method: str, path: str, query: Mapping[str, str], body: str) -> dict[str, Any]:
        for verb, place, needed, answers in self.rules:
            if verb == method and place == path and needed.items() <= query.items():
                fitting = [single_answer for single_answer in answers if str(single_answer.get("asked", "")) in body]
                if fitting:
                    if len(fitting) > 1 and fitting[0] is answers[0]:
                        answers.pop(0)
                    return fitting[0]
        return {"status": 404, "json": {"message": "no such page"}}


def content(answer: Mapping[str, Any], url: str) -> bytes:
    if "lines" in answer:
        body = "".join(json.dumps(single_line) + "\n" for single_line in answer["lines"])
    else:
        body = answer["text"] if "text" in answer else json.dumps(answer["json"]) if "json" in answer else ""
    data: bytes = body.replace("http://api", url).encode(answer.get("encoding", "utf-8"))
    if answer.get("gzip"):
        return gzip.compress(data)
    if answer.get("zip"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("report", data)
        return file.getvalue()
    return data


@contextlib.contextmanager
def serving(case: Case) -> Iterator[Api]:
    """The API of a case on a free port."""
    api = Api(case)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *_: Any) -> None: ...

        def answer_request(self) -> None:
            parts = urlsplit(self.path)
            pairs = parse_qsl(parts.query, keep_blank_values=True)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            with lock:
                api.calls.append(call_line(self.command, parts.path, pairs, body, dict(self.headers.items())))
                answer = api.answer(self.command, parts.path, dict(pairs), body)
            data = content(answer, api.url)
            self.send_response(answer.get("status", 200))
            for name, value in answer.get("headers", {}).items():
                self.send_header(name, str(value).replace("http://api", api.url))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer_request

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def call_line(method: str, path: str, query: list[tuple[str, str]], body: str, headers: Mapping[str, str]) -> str:
    """A request in one line, names in order."""
    text = f"{method} {path}" + ("?" + "&".join(f"{k}={v}" for k, v in sorted(query)) if query else "")
    provided = {name.lower(): value for name, value in headers.items()}
    if body:
        kind = provided.get("content-type", "")
        if "json" in kind:
            body = json.dumps(json.loads(body), sort_keys=True)
        elif "form" in kind:
            body = "&".join(f"{k}={v}" for k, v in sorted(parse_qsl(body, keep_blank_values=True))) + " (form)"
        text += f"  {body}"
    if "authorization" in provided:
        text += f"  [{provided['authorization']}]"
    more = [f"{name}: {value}" for name, value in sorted(provided.items()) if name not in ORDINARY]
    text += f"  {{{', '.join(more)}}}" if more else ""
    return JWT.sub(opened, text)


JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


def opened(token: re.Match[str]) -> str:
    """A signed token as what it says, without its times."""
    head, body, _ = token[0].split(".")
    parts = [json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)]
    length = parts[1]["exp"] - parts[1]["iat"]
    return f"<jwt {line(parts[0])} {line({k: v for k, v in parts[1].items() if k not in TIMES})} for {length} s>"


NOW = re.compile(r"20[2-9]\d-\d\d-\d\dT[\d:]+\.\d+\+00:00")
LONG = 2000
"""Characters of a record that stand in one line."""
TIMES = ("iat", "exp", "nbf")


# A run: steps become protocol messages, messages become text.


def run(case: Case, api: Api, folder: Path, command: Any) -> str:
    """The golden text. `command(name, paths)` gives the messages of spec, check, discover or read."""
    paths = case.lay(folder, api.url)
    lines = [f"# {case.values['about']}"]
    for step in case.steps:
        api.calls.clear()
        if step == "again":
            api.begin(case.values.get("later", {}))
        if step in ("read", "again"):
            catalog = next(
                (m["catalog"] for m in command("discover", paths) if m["type"] == "CATALOG"), {"streams": []}
            )
            api.calls.clear()
            Path(paths["manifest"]).with_name("catalog.json").write_text(json.dumps(configured(case, catalog)), "utf-8")
            paths["catalog"] = str(Path(paths["manifest"]).with_name("catalog.json"))
        messages = list(command("read" if step == "again" else step, paths))
        calls = [call.replace(api.url, "http://api") for call in api.calls]
        lines += ["", f"== {step}", *calls, *state_lines(case, messages, api.url)]
        if step in ("read", "again"):
            kept = [m["state"] for m in messages if m["type"] == "STATE"]
            latest = {item["stream"]["stream_descriptor"]["name"]: item for item in kept if "stream" in item}
            Path(paths["state"]).write_text(json.dumps(list(latest.values())), "utf-8")
    return "\n".join(lines) + "\n"


def configured(case: Case, catalog: Mapping[str, Any]) -> dict[str, Any]:
    expected, more = case.values.get("select"), case.values.get("configured", {})
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": "incremental" if "incremental" in stream["supported_sync_modes"] else "full_refresh",
                "destination_sync_mode": "append",
                **more,
            }
            for stream in catalog["streams"]
            if expected is None or stream["name"] in expected
        ]
    }


def state_lines(case: Case, messages: list[dict[str, Any]], url: str) -> Iterator[str]:
    records, states, rest = [], {}, []
    for message in messages:
        kind = message["type"]
        if kind == "SPEC":
            rest.append(line(message["spec"]))
        elif kind == "CONNECTION_STATUS":
            status = message["connectionStatus"]
            rest.append(status["status"] + (f": {status['message']}" if status.get("message") else ""))
        elif kind == "CATALOG":
            for stream in message["catalog"]["streams"]:
                rest.append(line({k: v for k, v in stream.items() if k != "is_file_based" or v}))
        elif kind == "RECORD":
            record = message["record"]
            reference = record.get("file_reference")
            text = line(record["data"])
            if len(text) > LONG:
                text = json.dumps(record["data"], sort_keys=True, ensure_ascii=False, indent=1)
            records.append(f"{record['stream']} {text}" + (f" {line(reference)}" if reference else ""))
        elif kind == "STATE" and "stream" in message["state"]:
            single_stream = message["state"]["stream"]
            states[single_stream["stream_descriptor"]["name"]] = single_stream.get("stream_state")
        elif kind == "CONTROL":
            text = line(message["control"]["connectorConfig"]["config"])
            rest.append(f"-- config {re.sub(NOW, '<a moment>', text)}")
        elif kind == "LOG" and message["log"]["level"] == "WARN":
            rest.append(f"-- warning: {message['log']['message']}")
        elif kind == "TRACE" and message["trace"]["type"] == "ERROR":
            error = message["trace"]["error"]
            name = (error.get("stream_descriptor") or {}).get("name", "")
            rest.append(f"-- error: {name}: " + " ".join(error["message"].split()))
    if records or states:
        rest += ["-- records", *records, "-- state", *(f"{k} {line(tidy(v))}" for k, v in sorted(states.items()))]
    yield from (item.replace(url, "http://api").replace(url.removeprefix("http://"), "api") for item in rest)


def line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def tidy(state: Any) -> Any:
    """A state without what no two runs share: how long they took."""
    if isinstance(state, dict):
        result = {k: tidy(v) for k, v in state.items() if k != "lookback_window" and not k.startswith("__ab_")}
        if isinstance(result.get("states"), list):
            result["states"] = sorted(result["states"], key=line)
        return result
    return [tidy(item) for item in state] if isinstance(state, list) else state
