import datetime as dt
from decimal import Decimal

import pytest
from postgres_reading import read, source_of

from kitestring import registry
from kitestring.config import masked, secrets_in
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.sources import postgres as postgres_source
from kitestring.sources.postgres import Postgres, catalog

UTC = dt.UTC
VALUES = [
    ("boolean", "true", True, "boolean"),
    ("smallint", "-32768", -32768, "integer"),
    ("integer", "2147483647", 2147483647, "integer"),
    ("bigint", "9223372036854775807", 9223372036854775807, "integer"),
    ("oid", "4294967295", 4294967295, "integer"),
    ("real", "1.5", 1.5, "number"),
    ("double precision", "'-Infinity'", float("-inf"), "number"),
    ("numeric(20,5)", "123456789012345.67891", Decimal("123456789012345.67891"), "number"),
    ("numeric(3,0)", "-7", Decimal("-7"), "number"),
    ("numeric(40,2)", "1.10", "1.10", "string"),
    ("numeric(4,-2)", "1234", "1200", "string"),
    ("numeric(2,4)", "0.0012", "0.0012", "string"),
    ("numeric", "'NaN'", "NaN", "string"),
    ("numeric", "1234567890123456789012345678901234567890.5", "1234567890123456789012345678901234567890.5", "string"),
    ("money", "'12.34'", "12.34", "string"),
    ("text", "'naïve 😀'", "naïve 😀", "string"),
    ("varchar(5)", "'abc'", "abc", "string"),
    ("char(3)", "'a'", "a  ", "string"),
    ("name", "'n'", "n", "string"),
    ('"char"', "'c'", "c", "string"),
    ("bytea", "'\\x00ff'", b"\x00\xff", "string"),
    ("date", "'2024-02-29'", dt.date(2024, 2, 29), "string"),
    ("date", "'infinity'", "infinity", "string"),
    ("date", "'-infinity'", "-infinity", "string"),
    ("date", "'4713-01-01 BC'", "-4712-01-01", "string"),
    ("date", "'12024-05-01'", "+12024-05-01", "string"),
    ("timestamp", "'2024-01-01 10:00:00.123456'", dt.datetime(2024, 1, 1, 10, 0, 0, 123456), "string"),
    ("timestamp", "'-infinity'", "-infinity", "string"),
    ("timestamp", "'0044-03-15 10:00 BC'", "-0043-03-15T10:00:00", "string"),
    ("timestamptz", "'2024-01-01 10:00+02'", dt.datetime(2024, 1, 1, 8, tzinfo=UTC), "string"),
    ("timestamptz(0)", "'infinity'", "infinity", "string"),
    ("timestamptz", "'-infinity'", "-infinity", "string"),
    ("timestamptz", "'200000-01-01'", "+200000-01-01T00:00:00Z", "string"),
    ("time", "'23:59:59.5'", dt.time(23, 59, 59, 500000), "string"),
    ("timetz", "'10:00+02'", "10:00:00+02", "string"),
    ("interval", "'1 year 2 days 3 hours'", "P1Y2DT3H", "string"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "string"),
    ("json", """'{"a" :  [1, null]}'""", '{"a" :  [1, null]}', "string"),
    ("jsonb", """'{"a": 12345678901234567890.5}'""", '{"a": 12345678901234567890.5}', "string"),
    ("integer[]", "'{1,NULL}'", "[1, null]", "string"),
    ("integer[]", "'{{1,2},{3,4}}'", "[[1, 2], [3, 4]]", "string"),
    ("text[]", """'{"a,b","c\\"d"}'""", '["a,b", "c\\"d"]', "string"),
    ("numeric(10,2)[]", "'{1.10}'", "[1.10]", "string"),
    ("inet", "'10.0.0.1'", "10.0.0.1/32", "string"),
    ("bit(3)", "B'101'", "101", "string"),
    ("int4range", "'[1,5)'", "[1,5)", "string"),
    ("time", "'24:00:00'", "24:00:00", "string"),
    ("interval", "'-1 month 1.5 sec'", "P-1MT1.5S", "string"),
    ("real", "'-0'", -0.0, "number"),
    ("json", r"""'{"z":"a\u0000b","z":1e5}'""", r'{"z":"a\u0000b","z":1e5}', "string"),
    ("json[]", r"""array['{"z":"a\u0000b","z":1e5}'::json, NULL]""", r'[{"z":"a\u0000b","z":1e5},null]', "string"),
    ("jsonb[]", """array['{"a":1}'::jsonb]""", '[{"a": 1}]', "string"),
    ("documented", r"""row('x', '{"z":"\u0000"}')""", r'{"name":"x","doc":{"z":"\u0000"}}', "string"),
    (
        "documented[]",
        r"""array[row('x', '{"z":"\u0000"}')::documented]""",
        r'[{"name":"x","doc":{"z":"\u0000"}}]',
        "string",
    ),
    (
        "wrapped",
        r"""row(array[row('x', '{"z":"\u0000"}')::documented])""",
        r'{"all":[{"name":"x","doc":{"z":"\u0000"}}]}',
        "string",
    ),
    ("docs", r"""array['{"z":"\u0000"}'::json]""", r'[{"z":"\u0000"}]', "string"),
    ("mood[]", "array['sad']::mood[]", '["sad"]', "string"),
    ("numeric[]", "array['NaN', 1.10, 1e20]::numeric[]", '["NaN", 1.10, 100000000000000000000]', "string"),
    ("float8[]", "array['NaN', '-Infinity', 0.1]::float8[]", '["NaN", "-Infinity", 0.1]', "string"),
    (
        "timestamptz[]",
        "array['infinity', '2024-01-01 00:00+00']::timestamptz[]",
        '["infinity", "2024-01-01T00:00:00+00:00"]',
        "string",
    ),
    ("bytea[]", r"array['\x00ff'::bytea]", r'["\\x00ff"]', "string"),
    ("money[]", "array['1.10'::money]", '["$1.10"]', "string"),
    ("time[]", "array['24:00:00'::time]", '["24:00:00"]', "string"),
    ("int4multirange", "'{[1,3),[5,7)}'", "{[1,3),[5,7)}", "string"),
    (
        "numeric(38,38)",
        "0.12345678901234567890123456789012345678",
        Decimal("0.12345678901234567890123456789012345678"),
        "number",
    ),
    ("numeric", "'-Infinity'", "-Infinity", "string"),
    ("point", "'(1,2)'", "(1,2)", "string"),
    ("tsvector", "to_tsvector('simple', 'a b')", "'a':1 'b':2", "string"),
    ("mood", "'sad'", "sad", "string"),
    ("pair", "row(1,'x')", '{"a": 1, "b": "x"}', "string"),
    ("pair[]", "array[row(1,'x')::pair]", '[{"a": 1, "b": "x"}]', "string"),
    ("price", "1.25", Decimal("1.25"), "number"),
    ("cheap", "0.50", Decimal("0.50"), "number"),
]


CUSTOM_TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE TYPE documented AS (name text, doc json)",
    'CREATE TYPE wrapped AS ("all" documented[])',
    "CREATE DOMAIN docs AS json[]",
    "CREATE DOMAIN price AS numeric(8,2) CHECK (value >= 0)",
    "CREATE DOMAIN cheap AS price CHECK (value < 1)",
)
"""The statements that create the types of `VALUES` that are no types of PostgreSQL."""


def test_every_type_arrives_as_it_is_and_null_as_null(database):
    database.run(
        *CUSTOM_TYPES,
        f"CREATE TABLE t ({', '.join(f'c{n} {type_}' for n, (type_, *_) in enumerate(VALUES))})",
        f"INSERT INTO t VALUES ({', '.join(value for _, value, *_ in VALUES)})",
        "INSERT INTO t (c0) VALUES (NULL)",
    )
    source = source_of(database)
    properties = source.discover().get("t").schema["properties"]
    (row, nulls), _, rejects = read(source, "t")
    assert not rejects
    for n, (type_, value, expected, kind) in enumerate(VALUES):
        assert row[f"c{n}"] == expected, (type_, value)
        assert properties[f"c{n}"]["type"] == [kind, "null"], type_
    assert set(nulls.values()) == {None}


def test_the_types_of_the_tables_are_those_of_the_schema(database):
    database.run(
        f"CREATE TABLE t ({', '.join(f'c{n} {t}' for n, (t, *_) in enumerate(VALUES) if t not in CUSTOM)})",
        "INSERT INTO t (c0) VALUES (true)",
    )
    source = source_of(database)
    stream = source.discover().get("t")
    (partition,) = source.partitions([stream], {})
    (batch,) = source.read(partition, {})
    declared = stream.arrow_schema
    assert batch.table().schema == declared


CUSTOM = {
    "mood", "mood[]", "pair", "pair[]", "price", "cheap", "documented", "documented[]", "wrapped", "docs",
}  # fmt: skip


def test_a_nan_in_a_decimal_column_is_rejected_and_the_other_rows_come(database):
    database.run("CREATE TABLE t (id int, n numeric(5,2))", "INSERT INTO t VALUES (1, 'NaN'), (2, 1.5), (3, NULL)")
    rows, _, rejects = read(source_of(database), "t")
    assert rows == [{"id": 2, "n": Decimal("1.50")}, {"id": 3, "n": None}]
    assert rejects[0].record == {"id": 1, "n": "NaN"}
    assert "field n" in rejects[0].reason


def test_discover_finds_tables_views_keys_and_odd_names(database):
    database.run(
        "CREATE SCHEMA other",
        'CREATE TABLE "We""ird \'T%" ("a b" int, "Q""x" text, "select" int, PRIMARY KEY ("select", "a b"))',
        'INSERT INTO "We""ird \'T%" VALUES (1, \'x\', 2)',
        "CREATE VIEW v AS SELECT 1 AS one",
        "CREATE MATERIALIZED VIEW m AS SELECT 2 AS two",
        "CREATE TABLE other.hidden (id int)",
        "CREATE TABLE dropped (a int, gone int, b int)",
        "ALTER TABLE dropped DROP COLUMN gone",
    )
    source = source_of(database)
    catalog = source.discover()
    odd = "public.We\"ird 'T%"
    assert sorted(s.key for s in catalog) == sorted([odd, "public.dropped", "public.m", "public.v"])
    assert catalog.get(odd).primary_key == (("select",), ("a b",))
    assert list(catalog.get("dropped").schema["properties"]) == ["a", "b"]
    assert read(source, odd)[0] == [{"a b": 1, 'Q"x': "x", "select": 2}]
    assert read(source, odd, fields=['Q"x'])[0] == [{"a b": 1, 'Q"x': "x", "select": 2}]
    assert read(source, "v")[0] == [{"one": 1}]
    assert read(source, "m")[0] == [{"two": 2}]
    everywhere = source_of(database, schemas=[])
    assert "other.hidden" in {s.key for s in everywhere.discover()}


def test_a_large_table_is_read_in_ranges_each_row_once_and_as_it_was_at_one_moment(database, monkeypatch):
    monkeypatch.setattr(catalog, "PARTITION_BYTES", 64 * 1024)
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, filler text)",
        "INSERT INTO t SELECT n::text, repeat('x', 100) FROM generate_series(1, 5000) n",
    )
    source = source_of(database)
    partitions = list(source.partitions([source.discover().get("t")], {}))
    assert len(partitions) > 5
    assert len({p.key for p in partitions}) == len(partitions)
    ids = []
    for n, partition in enumerate(partitions):
        for batch in source.read(partition, {}):
            ids += batch.table().column("id").to_pylist()
        if n == 0:
            database.run(
                "DELETE FROM t WHERE id::int > 4000", "INSERT INTO t SELECT 'new' || n FROM generate_series(1, 500) n"
            )
            database.run("UPDATE t SET filler = 'moved'")
    source.close()
    assert sorted(map(int, ids)) == list(range(1, 5001))


def test_a_new_snapshot_has_the_rows_since_then_while_others_read_in_the_earlier_one(database, monkeypatch):
    monkeypatch.setattr(catalog, "PARTITION_BYTES", 64 * 1024)
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, filler text)",
        "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n",
    )
    source = source_of(database)
    stream = source.discover().get("t")
    earlier = list(source.partitions([stream], {}))
    database.run("INSERT INTO t VALUES (5001)")
    source.refresh_snapshot()
    later = list(source.partitions([stream], {}))
    counts = [
        sum(len(batch) for partition in partitions for batch in source.read(partition, {}))
        for partitions in (later, earlier)
    ]
    source.close()
    assert counts == [5001, 5000]


def test_a_partitioned_table_is_one_stream_read_by_its_parts(database, monkeypatch):
    monkeypatch.setattr(catalog, "PARTITION_BYTES", 64 * 1024)
    database.run(
        "CREATE TABLE t (id int, day int) PARTITION BY LIST (day)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
        "CREATE TABLE t2 (day int, id int)",
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES IN (2)",
        "INSERT INTO t SELECT n, 1 + n % 2 FROM generate_series(1, 9000) n",
    )
    source = source_of(database)
    assert [s.name for s in source.discover()] == ["t"]
    assert len(list(source.partitions([source.discover().get("t")], {}))) >= 4
    rows, _, _ = read(source, "t")
    assert sorted(row["id"] for row in rows) == list(range(1, 9001))
    assert all(row["day"] == 1 + row["id"] % 2 for row in rows)
    source.close()


def test_a_parent_of_inherited_tables_gives_all_rows_once(database, monkeypatch):
    monkeypatch.setattr(catalog, "PARTITION_BYTES", 16 * 1024)
    database.run(
        "CREATE TABLE parent (id int)",
        "CREATE TABLE child (more int) INHERITS (parent)",
        "INSERT INTO parent SELECT generate_series(1, 2000)",
        "INSERT INTO child SELECT generate_series(2001, 9000)",
    )
    source = source_of(database)
    rows, _, _ = read(source, "parent")
    assert sorted(row["id"] for row in rows) == list(range(1, 9001))
    source.close()


def test_an_empty_table_gives_no_rows_and_no_state(database):
    database.run("CREATE TABLE t (id int)")
    assert read(source_of(database), "t") == ([], [], [])
    assert read(source_of(database), "t", cursor="id") == ([], [], [])


@pytest.mark.parametrize("batch_bytes", [200, 2000, 8_000_000])
def test_a_read_goes_on_after_any_checkpoint_without_missing_or_repeating(database, monkeypatch, batch_bytes):
    monkeypatch.setattr(postgres_source, "BATCH_BYTES", batch_bytes)
    database.run(
        "CREATE TABLE t (id int, at timestamptz)",
        "INSERT INTO t SELECT n, '2024-01-01'::timestamptz + (n / 7) * interval '1 min' FROM generate_series(1, 300) n",
        "INSERT INTO t SELECT n, '2025-01-01' FROM generate_series(301, 400) n",
        "INSERT INTO t VALUES (0, NULL)",
    )
    source = source_of(database)
    rows, checkpoints, _ = read(source, "t", cursor="at")
    assert sorted(row["id"] for row in rows) == list(range(401))
    assert rows[0]["at"] is None
    assert checkpoints[-1][0] == 401
    assert checkpoints[-1][1]["cursor"] == "2025-01-01 00:00:00+00:00"
    assert len(set(checkpoints[-1][1]["known"])) == 100
    for covered, state in checkpoints[:: max(1, len(checkpoints) // 6)]:
        rest, later, _ = read(source, "t", state, cursor="at")
        assert sorted(row["id"] for row in rows[:covered] + rest) == list(range(401))
        assert later[-1][1]["cursor"] == checkpoints[-1][1]["cursor"]
        assert sorted(later[-1][1]["known"]) == sorted(checkpoints[-1][1]["known"])
    assert len(checkpoints) > (5 if batch_bytes < 8000 else 1)


def test_a_late_row_with_the_last_cursor_value_is_not_missed(database):
    database.run("CREATE TABLE t (id int, n numeric)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 2.0)")
    source = source_of(database)
    _, checkpoints, _ = read(source, "t", cursor="n")
    state = checkpoints[-1][1]
    rows, checkpoints, _ = read(source, "t", state, cursor="n")
    assert rows == []
    state = checkpoints[-1][1]
    database.run("DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (4, 2.00)", "INSERT INTO t VALUES (5, 3)")
    rows, checkpoints, _ = read(source, "t", state, cursor="n")
    assert [row["id"] for row in rows] == [4, 5]
    assert checkpoints[-1][1]["cursor"] == "3"
    assert read(source, "t", checkpoints[-1][1], cursor="n")[0] == []


@pytest.mark.parametrize(
    ("type_", "first", "second"),
    [
        ("bigint", "1", "2"),
        ("text", "'a''b'", "'b'"),
        ("date", "'2024-01-01'", "'2024-01-02'"),
        ("timestamp", "'2024-01-01 00:00:00.000001'", "'2024-01-01 00:00:00.000002'"),
        ("numeric(20,10)", "1.0000000001", "1.0000000002"),
        ("uuid", "'00000000-0000-0000-0000-000000000001'", "'f0000000-0000-0000-0000-000000000001'"),
    ],
)
def test_a_cursor_may_have_any_type_with_an_order(database, type_, first, second):
    database.run(f"CREATE TABLE t (id int, c {type_})", f"INSERT INTO t VALUES (1, {first})")
    source = source_of(database)
    _, [*_, (_, state)], _ = read(source, "t", cursor="c")
    assert read(source, "t", state, cursor="c")[0] == []
    database.run(f"INSERT INTO t VALUES (2, {second})")
    rows, _, _ = read(source, "t", state, cursor="c")
    assert [row["id"] for row in rows] == [2]


def test_a_cursor_without_order_is_refused_with_those_that_have_one(database):
    database.run("CREATE TABLE t (id int, doc jsonb)")
    with pytest.raises(ConfigError, match="is of type jsonb") as caught:
        read(source_of(database), "t", cursor="doc")
    assert caught.value.hint == "Choose one of: id."


def test_tables_and_columns_that_may_not_be_read_are_left_out_and_a_lost_right_names_the_grant(database):
    database.run(
        "CREATE TABLE open (id int PRIMARY KEY, secret text)",
        "CREATE TABLE closed (id int)",
        "INSERT INTO open VALUES (1, 'x')",
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN PASSWORD 'pw'",
        "GRANT SELECT (id) ON open TO clerk",
    )
    source = source_of(database, username="clerk", password="pw")
    assert [s.name for s in source.discover()] == ["open"]
    assert read(source, "open")[0] == [{"id": 1}]
    (partition,) = source.partitions([source.discover().get("open")], {})
    database.run("REVOKE ALL ON open FROM clerk")
    with pytest.raises(ConfigError, match="the user clerk may not read") as caught:
        list(source.read(partition, {}))
    assert "GRANT SELECT" in caught.value.hint
    database.run("DROP OWNED BY clerk", "DROP ROLE clerk")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"password": "wrong"}, AuthError, "refuses the password of postgres"),
        ({"password": None}, AuthError, "wants a password"),
        ({"username": "nobody"}, AuthError, "nobody"),
        ({"database": "nope"}, ConfigError, "does not exist"),
        ({"port": 1}, TransientError, "refuses connections"),
        ({"host": "no-such-host.invalid"}, ConfigError, "there is no such host"),
        ({"ssl_mode": "require"}, ConfigError, "does not speak SSL"),
        ({"schemas": ["nothing"]}, ConfigError, "no table in the schemas nothing"),
    ],
)
def test_a_wrong_setting_is_named_in_two_lines_without_the_password(database, changes, kind, words):
    source = source_of(database, **changes)
    with pytest.raises(KitestringError, match=words) as caught:
        source.check()
    assert type(caught.value) is kind
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert "cr" + "\\et" not in f"{caught.value}{caught.value.fields}{source!r}".replace("\\\\", "\\")


def test_a_url_connects_as_the_fields_do_and_is_a_secret(database):
    from urllib.parse import quote

    database.run("CREATE TABLE t (id int)")
    url = f"postgresql://postgres:{quote(database.password)}@127.0.0.1:{database.port}/{database.name}"
    Postgres.load({"url": url}).check()
    assert url not in str(masked({"url": url}, Postgres.spec()))
    assert set(secrets_in({"ssl_mode": {"client_key": "k"}, "password": "p"}, Postgres.spec())) == {"p", "k"}


def test_a_connection_that_breaks_in_the_middle_is_an_error_that_may_pass(database, monkeypatch):
    monkeypatch.setattr(postgres_source, "BATCH_BYTES", 100_000)
    database.run("CREATE TABLE t AS SELECT n AS id, repeat('x', 1000) AS filler FROM generate_series(1, 50000) n")
    source = source_of(database)
    partition = next(iter(source.partitions([source.discover().get("t")], {})))
    items = source.read(partition, {})
    next(items)
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'kitestring' AND query LIKE '%COPY%'"
    )
    with pytest.raises(TransientError, match="broke off"):
        list(items)
    source.close()


def test_a_read_may_be_left_at_any_time(database, monkeypatch):
    monkeypatch.setattr(postgres_source, "BATCH_BYTES", 100_000)
    database.run("CREATE TABLE t AS SELECT n AS id, repeat('x', 1000) AS filler FROM generate_series(1, 50000) n")
    source = source_of(database)
    partition = next(iter(source.partitions([source.discover().get("t")], {})))
    items = source.read(partition, {})
    next(items)
    items.close()
    source.close()
    left = database.run("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'kitestring'")
    assert left == [{"n": 0}]


def test_the_registry_builds_it():
    assert isinstance(registry.source("postgres", {"host": "db", "ssl_mode": {"mode": "require"}}), Postgres)


def test_a_confined_source_uses_no_password_of_the_account_it_runs_in(database, tmp_path, monkeypatch):
    """A server's operator may have passwords in the environment and the home folder: they are not an editor's."""
    database.run("CREATE TABLE things (id int PRIMARY KEY)", "CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'operators'")
    try:
        passwords = tmp_path / "pgpass"
        passwords.write_text("*:*:*:keeper:operators\n")
        passwords.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(passwords))
        for variable in ({}, {"PGPASSWORD": "operators"}):
            for name, value in variable.items():
                monkeypatch.setenv(name, value)
            config = {**database.config, "username": "keeper"}
            del config["password"]
            url = f"postgresql://keeper@{database.host}:{database.port}/{database.name}"
            for provided in (config, {"url": url}):
                Postgres.load(provided).check()  # what an admin wrote may use them
                confined = Postgres.load(provided)
                assert confined.machine_use() is None
                confined.confine(lambda option, path: path)
                with pytest.raises((AuthError, ConfigError)):
                    confined.check()
        confined = Postgres.load(database.config)
        confined.confine(lambda option, path: path)
        confined.check()
    finally:
        database.run("DROP ROLE keeper")
