"""What a connector's program sees of the environment of whoever starts it."""

from __future__ import annotations

import pytest

from kitestring.airbyte.connector_process import clean_environment


def test_a_program_sees_none_of_our_variables_and_no_secret_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ["HOME", "SECRET_KEY", "DATABASE_URL", "CDK_PYTHON", "REFERENCES", "CONFIG_TOKEN", "ANYTHING"]
    for name in [*(f"KITESTRING_{item}" for item in ours), "VAULT_TOKEN", "PYTHONPATH"]:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    seen = clean_environment()
    assert "secret" not in seen.values()
    assert seen["LANG"] == "C.UTF-8"
