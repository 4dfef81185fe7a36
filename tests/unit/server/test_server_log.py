"""The log of a server: one file, each request with its id, no secret."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.context import Context
from kitestring.server.observability import server_log
from kitestring.server.settings import Settings


def lines(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "logs" / server_log.FILE).read_text().splitlines()]


def test_what_is_logged_for_a_request_has_its_id_in_a_file_without_secrets(context: Context, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "other", smtp_url="smtp://kite:very-secret@mail.example.com")
    end = server_log.begin(settings)
    app = create_app(context)

    @app.get("/api/crash")
    def crash() -> None:
        logging.getLogger("kitestring.server").warning("sent by %s, very-secret", settings.smtp_url)
        raise ZeroDivisionError

    try:
        client = TestClient(app, raise_server_exceptions=False)
        answer = client.get("/api/crash", headers={"X-Request-Id": "from-a-proxy"})
        other = client.get("/v1/health", headers={"X-Request-Id": "not a\tword"})
    finally:
        end()
    logging.getLogger("kitestring.server").warning("afterwards")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "from-a-proxy"
    assert len(other.headers["x-request-id"]) == 32
    actual_lines = lines(settings.home)
    assert [line["request_id"] for line in actual_lines] == ["from-a-proxy", "from-a-proxy"]
    assert "ZeroDivisionError" in actual_lines[1]["traceback"]
    assert "very-secret" not in json.dumps(actual_lines)
    assert (settings.home / "logs" / server_log.FILE).stat().st_mode & 0o777 == 0o600
