"""The cases of a destination's contract about values and names: all arrive as they were, or in the nearest form."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from kitestring.json_codec import text_of
from kitestring.testing.contract.suite import SCHEMA, DestinationSuite
from kitestring.testing.contract.value import Text, same
from kitestring.types import Record

HOSTILE = [
    "plain",
    "naïve café – “quotes”",
    "日本語 한국어 العربية עברית",
    "👩‍👩‍👧‍👦 e\u0301 \u202eltr\u202c",
    'a "quoted" \\ back\\\\slash',
    "it's; DROP TABLE x; --",
    "line\nbreak\r\ttab",
    "nul\x00inside",
    "{{ template }} ${ENV} %s",
    "x" * 100_000,
]

NAMES = [
    *("select", "order", "group", "user", "table", "from", "where", "index", "key", "value", "default", "column"),
    *("rowid", "ctid", "oid", "xmin", "tableoid", "stream", "type", "name", "count", "time", "_id", "pk", "$meta"),
    *("a b", 'quo"te', "apostro'phe", "back`tick", "[bracket]", "semi;colon", "dot.ted", "sla/sh", "back\\slash"),
    *(
        "percent%s",
        "{brace}",
        "question?",
        "new\nline",
        "tab\there",
        "ünïcode",
        "日本",
        "👩",
        "1st",
        "-",
        " lead",
        "trail ",
    ),
    *("ſharp", "sharp", "İ", "i̇", "n" * 70 + "1", "n" * 70 + "2", "n" * 300 + "1", "n" * 300 + "2"),
]
"""Names of fields that mean something to a database, or that its names cannot be."""

EXACT: dict[str, Decimal | int] = {
    "decimal": Decimal("-12345678901234567890.123456789012345678"),
    "small": Decimal("0.00000000000000000000000000000000000001"),
    "big": 10**37 + 1,
    "bigger": -(10**45) - 7,
}


class ValueCases(DestinationSuite):
    """Values and names."""

    def test_values_of_all_types_arrive_as_they_were(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        records = self.records(5)
        assert not self.succeed(tmp_path, records, mode)
        rows = self.by_id(tmp_path, mode)
        assert sorted(rows) == [0, 1, 2, 3, 4]
        for record in records:
            self.assert_arrived(record, rows[record["id"]])

    def test_nulls_and_missing_fields_are_no_error(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        null = {"number": None, "flag": None, "at": None, "nested": None, "tags": None}
        records: list[Record] = [
            {"id": 1, "text": "a", **null},
            {"id": 2, "text": "b"},
            {**self.records(4)[3], "text": "c"},
        ]
        assert not self.succeed(tmp_path, records, mode)
        rows = self.by_id(tmp_path, mode)
        assert {key: row["text"] for key, row in rows.items()} == {1: "a", 2: "b", 3: "c"}
        assert [rows[key].get(name) for key in (1, 2) for name in null] == [None] * 10
        self.assert_arrived(records[2], rows[3])

    def test_hostile_text_arrives_or_is_rejected_never_lost(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        records: list[Record] = [{"id": n, "text": text} for n, text in enumerate(HOSTILE)]
        rejected = self.succeed(tmp_path, records, mode)
        rows = self.by_id(tmp_path, mode)
        assert sorted([*rows, *rejected]) == list(range(len(HOSTILE)))
        assert set(range(6)) <= set(rows)
        for number, row in rows.items():
            self.assert_arrived(records[number], row)

    def test_a_record_whose_text_is_empty_is_there(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        records: list[Record] = [{"id": 1, "text": ""}, {"id": 2, "text": " \n"}, {"id": 3, "text": "a"}]
        assert not self.succeed(tmp_path, records, mode)
        rows = self.by_id(tmp_path, mode)
        assert sorted(rows) == [1, 2, 3]
        for record in records:
            self.assert_arrived(record, rows[record["id"]])

    def test_a_field_of_the_wrong_type_never_fails_the_sync(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        odd: Record = {"id": 3, "text": "odd", "number": "not a number", "flag": {"a": 1}, "tags": 7}
        rejected = self.succeed(tmp_path, [*self.records(3), odd], mode)
        rows = self.by_id(tmp_path, mode)
        assert {0, 1, 2} <= set(rows)
        for record in self.records(3):
            expected = self.expected(record)
            self.assert_kept(rows[record["id"]], {name: expected[name] for name in ("number", "flag")})
        assert sorted([*rows, *rejected]) == [0, 1, 2, 3]
        if 3 in rows:
            texts = self.nulled(rows[3])
            assert texts == {name: text_of(odd[name]) for name in texts}
            assert [rows[3].get(name) for name in texts] == [None] * len(texts)
            self.assert_kept(rows[3], {name: odd[name] for name in ("number", "flag", "tags") if name not in texts})

    def test_new_fields_in_a_later_sync_are_taken(self, tmp_path: Path) -> None:
        mode = self.any_added(tmp_path)
        assert not self.succeed(tmp_path, self.records(2), mode)
        assert not self.succeed(tmp_path, [{"id": 7, "text": "later", "brand_new": "value", "another": 3}], mode)
        rows = self.by_id(tmp_path, mode)
        assert sorted(rows) == [0, 1, 7]
        assert [rows[7][name] for name in ("text", "brand_new")] == ["later", "value"]
        self.assert_kept(rows[7], {"another": 3})
        self.assert_arrived(self.records(2)[1], rows[1])

    def test_a_type_that_widens_in_later_syncs_changes_no_value(self, tmp_path: Path) -> None:
        mode = self.any_added(tmp_path)
        values = [2**53 + 1, Decimal("0.25"), "a text", True, [1, {"a": None}]]
        types: list[Any] = [
            {"type": "integer"},
            {"type": "number"},
            {"type": "string"},
            {"type": "boolean"},
            {"type": "array"},
        ]
        for number, (value, declared) in enumerate(zip(values, types, strict=True)):
            schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "declared": declared}}
            record = {"id": number, "text": "a", "grown": value, "declared": value}
            assert not self.succeed(tmp_path, [record], mode, schema)
        rows = self.by_id(tmp_path, mode)
        assert sorted(rows) == [0, 1, 2, 3, 4]
        for number, expected in enumerate(values):
            self.assert_kept(rows[number], {"grown": expected, "declared": expected})

    def test_long_numbers_keep_all_their_digits(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        schema = {**SCHEMA, "properties": {**SCHEMA["properties"], **{f"undeclared {name}": {} for name in EXACT}}}
        records = [{"id": 0, "text": "a", **{f"undeclared {name}": value for name, value in EXACT.items()}}]
        # In a field of 64-bit numbers a fraction is the nearest of them; a whole number arrives, or does not fit.
        records += [{"id": n, "text": "a", "number": value} for n, value in enumerate(EXACT.values(), 1)]
        rejected = self.succeed(tmp_path, records, mode, schema)
        rows = self.by_id(tmp_path, mode)
        assert sorted([*rows, *rejected]) == list(range(len(records)))
        assert 0 in rows
        self.assert_kept(rows[0], {name: value for name, value in records[0].items() if "undeclared" in name})
        for number, value in enumerate(EXACT.values(), 1):
            if number in rows:
                nearest = value if isinstance(value, int) else float(value)
                stored = rows[number].get("number")
                if stored is None:
                    assert self.nulled(rows[number]) == {"number": str(value)}
                    continue
                forms = (value, Text(value), nearest, Text(nearest))
                assert any(same(stored, form) for form in forms), (stored, value)

    def test_names_that_mean_something_to_a_database_are_names_of_fields(self, tmp_path: Path) -> None:
        mode = self.any_added(tmp_path)
        declared = {name: {"type": ["null", "string"]} for name in NAMES[::2]}
        schema = {**SCHEMA, "properties": {**SCHEMA["properties"], **declared}}
        for number in (1, 2):
            values = {name: f"value {place} of {number}" for place, name in enumerate(NAMES)}
            assert not self.succeed(tmp_path, [{"id": number, "text": "a", **values}], mode, schema)
        rows = self.by_id(tmp_path, mode)
        for number in (1, 2):
            values = {name: f"value {place} of {number}" for place, name in enumerate(NAMES)}
            lost = {name for name, value in values.items() if value not in rows[number].values()}
            assert not lost
        places = [{str(value).partition(" of ")[0]: name for name, value in row.items()} for row in rows.values()]
        moved = [name for name in NAMES if places[0].get(name) != places[1].get(name)]
        assert not moved, "the second sync has them in other columns"

    def test_fields_whose_names_differ_by_case_stay_apart(self, tmp_path: Path) -> None:
        mode = self.any_added(tmp_path)
        schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "Value": {"type": ["null", "string"]}}}
        for number in (1, 2):
            record = {"id": number, "text": "a", "Value": f"a{number}", "value": f"b{number}", "VALUE": f"c{number}"}
            assert not self.succeed(tmp_path, [record], mode, schema)
        rows = self.by_id(tmp_path, mode)
        names = [
            {str(value)[0]: name for name, value in row.items() if str(value) in ("a1", "b1", "c1", "a2", "b2", "c2")}
            for row in (rows[1], rows[2])
        ]
        assert names[0] == names[1]
        assert sorted(names[0]) == ["a", "b", "c"]
        assert len(set(names[0].values())) == 3
