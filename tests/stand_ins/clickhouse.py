"""ClickHouse over HTTP: the engine is the real one (chdb), its HTTP interface a stand-in."""

from __future__ import annotations

import importlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "se'cr+t 1"


class ClickhouseStandIn:
    """A server on 127.0.0.1 with the user `reader`. `cut`: how many bytes of an answer are kept back."""

    def __init__(self, folder: Path) -> None:
        self.session: Any = importlib.import_module("chdb.session").Session(str(folder))
        self.lock = threading.Lock()
        self.cut = 0
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"])).decode()
                settings = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                status, body = 200, b""
                if (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != ("reader", PASSWORD):
                    status, body = 403, b"Code: 516. DB::Exception: reader: Authentication failed"
                else:
                    status, body = stand_in.answer(query, settings)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, query: str, settings: dict[str, str]) -> tuple[int, bytes]:
        values = {name.removeprefix("param_"): v for name, v in settings.items() if name.startswith("param_")}
        sent = {name: v for name, v in settings.items() if name.startswith(("output_", "max_block"))}
        words = ", ".join(f"{name} = '{v}'" for name, v in sent.items())
        try:
            with self.lock:
                body: bytes = self.session.query(
                    f"{query} SETTINGS {words}", settings["default_format"], params=values
                ).bytes()
        except Exception as error:
            return 404 if "UNKNOWN_TABLE" in str(error) else 400, str(error).encode()
        return 200, body[: len(body) - self.cut] if self.cut else body

    def run(self, *statements: str) -> None:
        with self.lock:
            for statement in statements:
                self.session.query(statement)

    @property
    def config(self) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": self.server.server_address[1],
            "database": "shop",
            "username": "reader",
            "password": PASSWORD,
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.session.close()
