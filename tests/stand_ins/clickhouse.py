"""ClickHouse over HTTP: the engine is the real one (chdb), its HTTP interface a stand-in.

python -m stand_ins.clickhouse FOLDER PORT      # as a process that can be killed; prints the port
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "se'cr+t 1"
USER = "reader"

ROWS = b"FORMAT ArrowStream\n\xff\xff\xff\xff"
"""The end of a statement with rows behind it: all Arrow streams begin so."""

OF_INTERFACE = frozenset({"default_format", "wait_end_of_query", "database", "readonly"})
"""Parameters that the engine does not have, or not in this way."""

CODE = re.compile(r"Code: (\d+)\.")


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no error of the server."""


class ClickhouseStandIn:
    """A server on 127.0.0.1 with the user `reader`.

    `cut`: how many bytes of an answer are kept back. `failures`, by a part of statements: how many more of them are
    answered with this status and text, and whether they are carried out all the same; the status 0 closes the
    connection. A POST to `/failures` sets them.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.session: Any = importlib.import_module("chdb.session").Session(str(folder))
        self.lock = threading.Lock()
        self.cut = 0
        self.statements: list[str] = []
        self._settings: dict[str, str] = {}
        self.failures: dict[str, tuple[int, int, str, bool]] = {}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body are one packet

            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                settings = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                if self.path == "/failures":
                    stand_in.failures = json.loads(sent)
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != (USER, PASSWORD):
                    status, body = 403, f"Code: 516. DB::Exception: {USER}: Authentication failed".encode()
                else:
                    status, body = stand_in.answer(sent, settings)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status != 200 and (code := CODE.search(body.decode("utf-8", "replace"))):
                    self.send_header("X-ClickHouse-Exception-Code", code[1])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = Server(("127.0.0.1", port), Handler)
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, sent: bytes, settings: dict[str, str]) -> tuple[int, bytes]:
        statement, rows = sent, b""
        if (place := sent.find(ROWS)) >= 0:
            statement, rows = sent[:place], sent[place + len(ROWS) - 4 :]
        query = statement.decode()
        self.statements.append(query)
        for text, (times, status, answer, is_run) in list(self.failures.items()):
            if text in query and times:
                self.failures[text] = times - 1, status, answer, is_run
                if is_run:
                    self._run(query, rows, settings)
                return status, answer.encode()
        try:
            body = self._run(query, rows, settings)
        except Exception as error:
            unknown = "UNKNOWN_TABLE" in str(error) or "UNKNOWN_DATABASE" in str(error)
            return 404 if unknown else 500, str(error).encode()
        return 200, body[: len(body) - self.cut] if self.cut else body

    def _run(self, query: str, rows: bytes, settings: dict[str, str]) -> bytes:
        values = {name.removeprefix("param_"): v for name, v in settings.items() if name.startswith("param_")}
        own = {n: v for n, v in settings.items() if n not in OF_INTERFACE and not n.startswith("param_")}
        with tempfile.NamedTemporaryFile(suffix=".arrow") as file:
            if rows:
                file.write(rows)
                file.flush()
                source = f"file('{file.name}', 'ArrowStream'"
                if "input(" in query:
                    query = query.replace("input(", f"{source}, ", 1)
                else:
                    query = f"{query} SELECT * FROM {source})"
            with self.lock:
                # The settings of a session: not every statement has a clause for them.
                for name in self._settings.keys() - own.keys():
                    self.session.query(f"SET {name} = DEFAULT")
                for name, value in own.items():
                    if self._settings.get(name) != value:
                        self.session.query(f"SET {name} = '{value}'")
                self._settings = own
                format_ = settings.get("default_format", "ArrowStream")
                body: bytes = self.session.query(query, format_, params=values).bytes()
        return body

    def run(self, *statements: str) -> None:
        with self.lock:
            for statement in statements:
                self.session.query(statement)

    @property
    def config(self) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "database": "shop",
            "username": USER,
            "password": PASSWORD,
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.session.close()


def main() -> None:
    stand_in = ClickhouseStandIn(Path(sys.argv[1]), int(sys.argv[2]))
    print(stand_in.port, flush=True)
    sys.stdin.read()  # until its parent has ended


if __name__ == "__main__":
    main()
