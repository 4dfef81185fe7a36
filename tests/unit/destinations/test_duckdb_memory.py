"""DuckDB takes little memory, and as much as it needs for a step that needs more."""

import duckdb
import pyarrow as pa
import pytest

from kitestring.batch import Batch
from kitestring.destinations import duckdb as module
from kitestring.destinations.delta import Delta
from kitestring.destinations.duckdb import Duckdb
from kitestring.errors import ConfigError
from kitestring.types import Stream, Write

STREAM = Stream("s", primary_key=(("id",),), write=Write(keep="latest", deletes="remove"))
LONG = Batch("s", table=pa.table({"id": list(range(40)), "text": ["x" * 1_000_000] * 40}))


def write(destination):
    destination.begin(STREAM)
    destination.write(STREAM, destination.prepare(STREAM, LONG))
    destination.close()


def test_a_step_that_needs_more_than_the_usual_limit_is_carried_out_with_the_machines_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_LIMIT", "12MB")
    path = str(tmp_path / "x.duckdb")
    destination = Duckdb(path=path)
    write(destination)
    assert destination._roomy
    with duckdb.connect(path, read_only=True) as db:
        assert db.execute("SELECT count(*), sum(length(text)) FROM s").fetchall() == [(40, 40_000_000)]


def test_a_limit_that_was_set_is_kept(tmp_path):
    with pytest.raises(ConfigError, match="no memory left"):
        write(Duckdb(path=str(tmp_path / "x.duckdb"), memory_limit="12MB"))


@pytest.mark.parametrize("limit", ["lots", "5 lots"])
@pytest.mark.parametrize("kind", [Duckdb, Delta])
def test_a_limit_that_is_no_amount_is_refused(tmp_path, kind, limit):
    with pytest.raises(ConfigError, match="`memory_limit` is no amount of memory"):
        write(kind(path=str(tmp_path / "x"), memory_limit=limit))
