"""Exit codes are those of the table in docs/explanation/delivery.md, with a server and without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kitestring import errors
from kitestring.cli import exit_codes, server_target
from kitestring.engine import Result
from kitestring.engine.result import Status, StreamResult

TABLE = Path(__file__).parents[3] / "docs" / "explanation" / "delivery.md"


def test_the_table_of_the_docs_has_every_code_of_the_command_line() -> None:
    rows = re.findall(r"^\| `?([^|`]+)`?.*\| (\d+) \|$", TABLE.read_text(), re.M)
    messages = {first.strip(): int(code) for first, code in reversed(rows)}
    assert sorted(int(code) for _, code in rows) == [0, 1, 2, 3, 4, 130]
    assert messages["succeeded"] == exit_codes.SUCCEEDED
    assert messages["failed"] == exit_codes.FAILED
    assert messages["suspicious"] == exit_codes.SUSPICIOUS
    assert messages["(changes)"] == exit_codes.CHANGES
    assert messages["cancelled"] == exit_codes.CANCELLED


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (["ConfigError"], 2),
        (["AuthError"], 2),
        (["SchemaError"], 2),
        (["ConfigError", "AuthError"], 2),
        (["ConfigError", "TransientError"], 1),
        (["ConnectorError"], 1),
        (["Lost"], 1),
        ([], 1),
    ],
)
def test_a_failure_has_one_code_with_a_server_and_without(kinds: list[str], code: int) -> None:
    def streams() -> dict[str, StreamResult]:
        created = {}
        for number, kind in enumerate(kinds):
            error = getattr(errors, kind, errors.KitestringError)("no")
            created[f"s{number}"] = StreamResult(f"s{number}", Status.failed, error=error)
        return created or {"s": StreamResult("s", Status.failed)}

    assert exit_codes.code_of_result(Result("here", streams())) == code
    bodies: dict[str, Any] = {key: {**item.as_dict()} for key, item in streams().items()}
    job = {
        "status": "failed",
        "history": [{"streams": bodies}],
        "error": {"type": kinds[0], "message": "no"} if kinds else None,
        "startedAtMs": 0,
        "createdAtMs": 0,
        "endedAtMs": 1,
    }
    assert exit_codes.code_of_failure(server_target.result_of("there", job)) == code
