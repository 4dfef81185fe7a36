"""Obstacles of a PostgreSQL destination: tables of others, views, rights, lost connections, errors of the server."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pytest
from postgres_place import LATEST, NEW, NEW_LATEST, Place, stream_of, written

from kitestring.batch import Batch
from kitestring.destinations.postgres import Postgres
from kitestring.engine import Status
from kitestring.errors import AuthError, ConfigError, RecordError, TransientError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(postgres_server):
    postgres_server.run("CREATE DATABASE refusals STRATEGY file_copy")
    yield replace(postgres_server, name="refusals")
    postgres_server.run("DROP DATABASE refusals WITH (FORCE)")


@pytest.fixture
def place(server):
    return Place(server)


def test_a_table_that_no_sync_has_made_and_a_view_are_refused(place):
    place.run(f"CREATE SCHEMA {place.schema}", f"CREATE TABLE {place.schema}.things (id int)")
    stream = place.sync([{"id": 1}], "overwrite")
    assert "was not created by a sync" in str(stream.error)
    place.run(f"DROP TABLE {place.schema}.things", f"CREATE VIEW {place.schema}.things AS SELECT 1 AS id")
    assert "is not a table" in str(place.sync([{"id": 1}], "append").error)


def test_a_table_is_known_as_that_of_its_stream_at_every_moment_of_a_replacement(place):
    """The server may still replace a table for a sync that was killed, while the next one asks whose it is."""
    table = pa.table({"id": [1, 2]})
    stream, destination = stream_of(table, NEW_LATEST), place.destination()
    written(destination, stream, table)
    connection = place.destination()._connect()
    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(lambda: [written(destination, stream, table) for _ in range(100)])
        while not replacing.done():
            assert connection.columns(place.schema, stream.name)
            assert connection.note(place.schema, stream.name) is not None
        replacing.result()
    connection.close()


def test_a_view_on_a_table_that_would_be_replaced_is_named_and_nothing_is_lost(place):
    place.sync([{"id": 1, "t": "old"}], "overwrite")
    place.run(f"CREATE VIEW {place.schema}.seen AS SELECT t FROM {place.schema}.things")
    stream = place.sync([{"id": 2, "t": "new"}], "overwrite")
    assert f"view {place.schema}.seen" in str(stream.error)
    assert "drop_cascade" in stream.error.hint
    assert place.rows() == [{"id": 1, "t": "old"}]
    assert place.sync([{"id": 2, "t": {"a": "json"}}], "append_dedup").status is Status.succeeded
    assert place.sync([{"id": 2, "t": "new"}], "overwrite", drop_cascade=True).status is Status.succeeded
    assert place.rows() == [{"id": 2, "t": "new"}]


def test_a_view_that_uses_a_column_which_must_become_wider_is_named(place):
    place.sync([{"id": 1, "n": 1}])
    place.run(f"CREATE VIEW {place.schema}.seen AS SELECT n FROM {place.schema}.things")
    stream = place.sync([{"id": 2, "n": "text"}])
    assert "seen" in str(stream.error)
    assert isinstance(stream.error, ConfigError)
    assert place.rows() == [{"id": 1, "n": 1}]


def test_the_rights_on_a_table_stay_when_it_is_replaced(place):
    place.run("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'r'")
    place.sync([{"id": 1}], "overwrite")
    place.run(f"GRANT USAGE ON SCHEMA {place.schema} TO reader", f"GRANT SELECT ON {place.schema}.things TO reader")
    place.sync([{"id": 2}], "overwrite")
    as_reader = replace(place.server, username="reader", password="r")
    assert as_reader.run(f"SELECT id FROM {place.schema}.things") == [{"id": 2}]


def test_check_says_which_right_is_missing_and_creates_nothing(place):
    place.run(
        "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'g'", f"CREATE SCHEMA {place.schema}_closed"
    )
    guest = {"username": "guest", "password": "g"}
    with pytest.raises(ConfigError, match=f"has no schema {place.schema}, and the user guest may not create it"):
        place.destination(**guest).check()
    place.run(f"GRANT USAGE ON SCHEMA {place.schema}_closed TO guest")  # half of what it takes
    with pytest.raises(ConfigError, match="may not create tables in the schema") as refused:
        place.destination(**guest, schema=f"{place.schema}_closed").check()
    assert "GRANT USAGE, CREATE ON SCHEMA" in refused.value.hint
    for right in ("USAGE", "CREATE"):
        place.run(f"GRANT {right} ON SCHEMA {place.schema}_closed TO guest")
        with pytest.raises(ConfigError, match="may not create tables in the schema"):
            place.destination(**guest, schema=f"{place.schema}_closed").check()
        table = pa.table({"id": [1]})
        with pytest.raises(ConfigError) as refused:
            written(place.destination(**guest, schema=f"{place.schema}_closed"), stream_of(table, NEW), table)
        assert refused.value.message.endswith(f"may not write this: permission denied for schema {place.schema}_closed")
        place.run(f"REVOKE {right} ON SCHEMA {place.schema}_closed FROM guest")
    place.destination().check()
    assert place.run(f"SELECT 1 AS n FROM pg_namespace WHERE nspname = '{place.schema}'") == []
    with pytest.raises(AuthError):
        place.destination(password="wrong").check()
    with pytest.raises(ConfigError, match="does not exist"):
        place.destination(database="nowhere").check()


def test_a_user_with_the_rights_that_the_page_names_can_do_everything(place):
    place.run(
        "DROP ROLE IF EXISTS writer", "CREATE ROLE writer LOGIN PASSWORD 'w'",
        f"CREATE SCHEMA {place.schema}", f"GRANT USAGE, CREATE ON SCHEMA {place.schema} TO writer",
    )  # fmt: skip
    writer = {"username": "writer", "password": "w"}
    place.destination(**writer).check()
    for mode in ("overwrite", "append_dedup", "soft_delete", "append"):
        assert place.sync([{"id": 1}], mode, **writer).status is Status.succeeded


def test_a_lost_connection_is_opened_again_and_nothing_is_written_twice(place):
    destination, table = place.destination(), pa.table({"id": [1]})
    stream = stream_of(table)
    destination.begin(stream)
    destination.write(stream, destination.prepare(stream, Batch("things", table=table)))
    place.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kitestring'")
    batch = destination.prepare(stream, Batch("things", table=table))
    with pytest.raises(TransientError):
        destination.write(stream, batch)
    destination.write(stream, batch)
    destination.close()
    assert len(place.rows()) == 2


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("53100", ConfigError, "its disk is full: no room"),
        ("40P01", TransientError, "broke off: no room"),
        ("55P03", TransientError, "broke off: no room"),
        ("42501", ConfigError, "may not write this: no room"),
        ("23514", RecordError, "cannot take a value: no room"),
    ],
)
def test_what_the_server_says_in_the_middle_of_a_write_is_told_and_undone(place, code, error, message):
    place.sync([{"id": 1, "t": "a"}])
    place.run(
        f"CREATE FUNCTION {place.schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'no room'; END$$",
        f"CREATE TRIGGER refuse BEFORE INSERT ON {place.schema}.things EXECUTE FUNCTION {place.schema}.refuse()",
    )
    table = pa.table({"id": [1, 2], "t": ["b", "c"]})
    with pytest.raises(error, match=message):
        written(place.destination(), stream_of(table, LATEST), table)
    assert place.rows() == [{"id": 1, "t": "a"}]


def test_a_statement_timeout_is_told_with_what_to_do(place):
    place.run(
        "DROP ROLE IF EXISTS hasty",
        "CREATE ROLE hasty SUPERUSER LOGIN PASSWORD 'h'",
        "ALTER ROLE hasty SET statement_timeout = 1",
    )
    table = pa.table({"id": range(200_000), "t": ["x" * 50] * 200_000})
    with pytest.raises(ConfigError, match="statement timeout") as refused:
        written(place.destination(username="hasty", password="h"), stream_of(table, NEW), table)
    assert "statement_timeout" in refused.value.hint


def test_a_server_that_only_reads_is_refused(place):
    place.run(
        "DROP ROLE IF EXISTS watching",
        "CREATE ROLE watching SUPERUSER LOGIN PASSWORD 'w'",
        "ALTER ROLE watching SET default_transaction_read_only = on",
    )
    with pytest.raises(ConfigError, match="read-only"):
        place.destination(username="watching", password="w").check()


def test_settings_of_airbytes_connector_are_taken_or_refused_with_a_word():
    airbyte = {
        "host": "h", "port": 5432, "database": "d", "schema": "s", "username": "u", "password": "p", "ssl": True,
        "ssl_mode": {"mode": "require"}, "jdbc_url_params": "", "tunnel_method": {"tunnel_method": "NO_TUNNEL"},
        "raw_data_schema": "airbyte_internal", "disable_type_dedupe": False, "drop_cascade": True,
        "unconstrained_number": True, "cdc_deletion_mode": "Hard delete",
    }  # fmt: skip
    loaded = Postgres.load(airbyte)
    assert (loaded.schema_name, loaded.drop_cascade, loaded.ssl_mode.mode) == ("s", True, "require")
    assert Postgres.load({"ssl": True}).ssl_mode.mode == "require"
    assert Postgres.load({"ssl": False}).ssl_mode.mode == "disable"
    for name, value in (
        ("jdbc_url_params", "a=b"),
        ("disable_type_dedupe", True),
        ("cdc_deletion_mode", "Soft delete"),
    ):
        with pytest.raises(ConfigError, match=f"{name} needs what Kitestring does not have"):
            Postgres.load({name: value})


def test_several_streams_are_written_at_once_by_connections_of_their_own(place):
    from concurrent.futures import ThreadPoolExecutor

    destination, table = place.destination(connections=3), pa.table({"id": range(20_000)})
    assert destination.lanes == 3
    streams = [stream_of(table, write, name=f"t{n}") for n, write in enumerate((NEW_LATEST, LATEST, NEW))]

    def write(stream):
        destination.begin(stream)
        for _ in range(3):
            destination.write(stream, destination.prepare(stream, Batch(stream.key, table=table)))
        destination.commit(stream)
        return destination.count(stream)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(write, streams)) == [20_000, 20_000, 60_000]
    destination.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:Sek rit99@127.0.0.1:1/db", "postgresql://me:Sek/rit99@127.0.0.1:1/db",
        "postgresql://me:Sek%zzrit99@127.0.0.1:1/db", "postgresql://me:12/rit99@127.0.0.1:1/db",
        "postgresql://me:Sek?rit99@127.0.0.1:1/db", "postgresql://[::1:rit99", "rit99",
        "host=127.0.0.1 port=1 password=rit99 user=me",
    ],
)  # fmt: skip
def test_no_error_repeats_a_part_of_a_connection_url_that_cannot_be_read(url):
    with pytest.raises((ConfigError, TransientError)) as error:
        Postgres.load({"url": url}).check()
    messages = "".join(traceback.format_exception(error.value))
    assert "rit99" not in f"{messages} {error.value.hint} {error.value.fields}"
