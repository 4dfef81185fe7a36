"""From PostgreSQL to PostgreSQL: a value of every type is the same value at its destination."""

from __future__ import annotations

from typing import Any

import pytest
from postgres_reading import source_of

from kitestring.destinations.postgres import Postgres
from kitestring.engine import MemoryStates, Selection, sync

SAME, AS_TEXT, AS_JSON = "s.{0} IS NOT DISTINCT FROM d.{0}", "s.{0} = d.{0}::{1}", "to_jsonb(s.{0}) = d.{0}"
"""How both sides compare: in their types, with the text of the destination cast back, or as JSON."""

VALUES: list[tuple[str, str, str]] = [
    ("boolean", "true", SAME),
    ("smallint", "-32768", SAME),
    ("bigint", "9223372036854775807", SAME),
    ("real", "'-Infinity'", SAME),
    ("double precision", "'NaN'", SAME),
    ("numeric(20,5)", "123456789012345.67891", SAME),
    ("numeric", "1234567890123456789012345678901234567890.5", AS_TEXT),
    ("numeric", "'NaN'", AS_TEXT),
    ("money", "'12.34'", "s.{0}::numeric = d.{0}::numeric"),
    ("text", "'naïve 😀'", SAME),
    ("char(3)", "'a'", AS_TEXT),
    ("bytea", "'\\x00ff'", SAME),
    ("date", "'2024-02-29'", SAME),
    ("date", "'infinity'", SAME),
    ("date", "'-infinity'", SAME),
    ("date", "'4713-01-01 BC'", SAME),
    ("date", "'12024-05-01'", SAME),
    ("timestamp", "'2024-01-01 10:00:00.123456'", SAME),
    ("timestamp", "'infinity'", SAME),
    ("timestamp", "'0044-03-15 10:00:00.5 BC'", SAME),
    ("timestamptz", "'-infinity'", SAME),
    ("timestamptz", "'200000-01-01 00:00+00'", SAME),
    ("time", "'24:00:00'", SAME),
    ("timetz", "'10:00+02'", AS_TEXT),
    ("interval", "'1 year -2 days 3.5 hours'", AS_TEXT),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", AS_TEXT),
    ("json", """'{"a" :  [1, null]}'""", "s.{0}::jsonb = d.{0}"),
    ("jsonb", """'{"a": 12345678901234567890.5}'""", SAME),
    ("integer[]", "'{{1,2},{3,NULL}}'", AS_JSON),
    ("text[]", """'{"a,b","c\\"d"}'""", AS_JSON),
    ("date[]", "'{2024-01-01,NULL}'", AS_JSON),
    ("inet", "'10.0.0.1'", AS_TEXT),
    ("macaddr", "'08:00:2b:01:02:03'", AS_TEXT),
    ("bit(3)", "B'101'", AS_TEXT),
    ("tsvector", "'a:1 b:2'", AS_TEXT),
    ("point", "'(1,2.5)'", "s.{0}::text = d.{0}"),
    ("int4range", "'[1,5)'", AS_TEXT),
    ("tstzrange", "'[2024-01-01 00:00+00,)'", AS_TEXT),
    ("int4multirange", "'{[1,3),[5,7)}'", AS_TEXT),
    ("mood", "'so so'", AS_TEXT),
    ("percent", "42", SAME),
    ("pair", "ROW(1, 'a,b')", AS_JSON),
    ("vector(3)", "'[1,2.5,-3]'", AS_TEXT),
    ("hstore", """'a=>1, "b c"=>NULL'""", AS_TEXT),
]


@pytest.mark.parametrize("mode", ["append_dedup", "overwrite"])
def test_a_value_of_every_type_arrives_as_the_same_value(database: Any, mode: str) -> None:
    database.run(
        "CREATE TYPE mood AS ENUM ('sad', 'so so')",
        "CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100)",
        "CREATE TYPE pair AS (a int, b text)",
    )
    extensions = ("vector", "hstore")
    names = ", ".join(f"'{name}'" for name in extensions)
    present = {row["name"] for row in database.run(f"SELECT name FROM pg_available_extensions WHERE name IN ({names})")}
    assert "vector" in present
    for name in present:
        database.run(f"CREATE EXTENSION {name}")
    values = [value for value in VALUES if not any(value[0].startswith(name) for name in {*extensions} - present)]
    columns = {f"c{n}": value for n, value in enumerate(values)}
    declared = ", ".join(f"{name} {type_}" for name, (type_, _, _) in columns.items())
    database.run(
        f"CREATE TABLE t (id int PRIMARY KEY, {declared})",
        f"INSERT INTO t VALUES (1, {', '.join(literal for _, literal, _ in columns.values())})",
        "INSERT INTO t (id) VALUES (2)",
    )
    destination = Postgres.load({**database.config, "schema": "copy"})
    selection = Selection("t", namespace="copy", write_mode=mode)
    result = sync(source_of(database), destination, [selection], states=MemoryStates())
    assert result.ok, result.as_dict()
    checks = ", ".join(f"({same.format(name, type_)}) AS {name}" for name, (type_, _, same) in columns.items())
    joined = "FROM t AS s JOIN copy.t AS d USING (id)"
    (row,) = database.run(f"SELECT {checks} {joined} WHERE id = 1")
    assert [columns[name] for name, same in row.items() if not same] == []
    nulls = " AND ".join(f"d.{name} IS NULL" for name in columns)
    assert database.run(f"SELECT count(*)::int AS n {joined} WHERE id = 2 AND {nulls}")[0]["n"] == 1


def test_endless_moments_become_text_with_their_column(database: Any) -> None:
    """A column that gets texts keeps what it has: `infinity` and years before 1 have a text."""
    database.run("CREATE TABLE t (id int PRIMARY KEY, d date, m timestamptz)")
    database.run("INSERT INTO t VALUES (1, 'infinity', '-infinity'), (2, '0044-03-15 BC', '2024-01-01 10:00+00')")
    states = MemoryStates()

    def copy() -> None:
        destination = Postgres.load({**database.config, "schema": "copy"})
        selection = Selection("t", namespace="copy", write_mode="append_dedup")
        result = sync(source_of(database), destination, [selection], states=states)
        assert result.ok, result.as_dict()

    copy()
    database.run(
        "ALTER TABLE t ALTER d TYPE text, ALTER m TYPE text", "DELETE FROM t", "INSERT INTO t VALUES (3, 'a', 'b')"
    )
    copy()
    assert database.run("SELECT id, d, m FROM copy.t ORDER BY id") == [
        {"id": 1, "d": "infinity", "m": "-infinity"},
        {"id": 2, "d": "-0043-03-15", "m": "2024-01-01T10:00:00+00:00"},
        {"id": 3, "d": "a", "m": "b"},
    ]


def test_endless_moments_and_years_that_python_has_not_are_read_back(database: Any) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, d date, m timestamptz, n timestamp)")
    database.run(
        "INSERT INTO t VALUES (1, 'infinity', '-infinity', 'infinity'), "
        "(2, '0044-03-15 BC', '12024-01-01 10:00+00', '0044-03-15 10:00 BC'), "
        "(3, '2024-01-01', '2024-01-01 10:00+00', NULL)"
    )
    destination = Postgres.load({**database.config, "schema": "copy"})
    assert sync(source_of(database), destination, [Selection("t", namespace="copy", write_mode="overwrite")]).ok
    try:
        rows = {row["id"]: (row["d"], row["m"], row["n"]) for row in destination.stored_rows("t", "copy").rows}
    finally:
        destination.close()
    assert rows[1] == ("infinity", "-infinity", "infinity")
    assert rows[2] == ("-0043-03-15", "+12024-01-01T10:00:00+00:00", "-0043-03-15T10:00:00")
