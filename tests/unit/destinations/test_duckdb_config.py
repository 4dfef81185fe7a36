"""What the destination's configuration takes. (How it writes is tested in the contract suite.)"""

from __future__ import annotations

from pathlib import Path

import pytest

import kitestring as ks
from kitestring.destinations.duckdb import Duckdb


def test_the_path_may_be_called_as_airbytes_connector_calls_it(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    provided = {"destination_path": path, "schema": "raw", "motherduck_api_key": None}
    assert Duckdb.load(provided) == Duckdb.load({"path": path, "schema": "raw"})


def test_motherduck_is_refused_not_ignored() -> None:
    with pytest.raises(ks.ConfigError, match="does not have yet"):
        Duckdb.load({"destination_path": "md:", "motherduck_api_key": "a key"})


def test_a_path_that_no_file_system_takes_is_told(tmp_path: Path) -> None:
    long = Duckdb(path=str(tmp_path / f"{'x' * 300}.duckdb"))
    with pytest.raises(ks.ConfigError, match="File name too long"):
        long.check()
    result = ks.sync(ks.source("sample", {"count": 3}), long, ["users"])
    assert result.status == "failed"
    assert isinstance(result.error, ks.ConfigError)
    assert "cannot be used" in result.error.message
