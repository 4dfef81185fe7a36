"""Mappers between a source and a destination: what arrives, what is left out, what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Rejects, Result, Selection, Status, estimate, replay, sync
from kitestring.errors import ConfigError, RecordError
from kitestring.mappers import mapper_settings
from kitestring.mappers.apply import compile_mappers
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Stream

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": "string", "description": "Where to write to."},
        "status": {"type": "string"},
        "at": {"type": "integer"},
    },
}
PEOPLE = [
    {"id": 1, "email": "rosa@example.com", "status": "open", "at": 1},
    {"id": 2, "email": None, "status": "closed", "at": 2},
    {"id": 3, "email": "ünal@example.com", "status": "open", "at": 3},
]
HASH = {"type": "hashing", "target_field": "email"}
OPEN = {
    "type": "row-filtering",
    "conditions": {"type": "EQUAL", "field_name": "status", "comparison_value": "open"},
}


def people(records: Sequence[dict[str, Any]] = PEOPLE, incremental: bool = False) -> MemorySource:
    return MemorySource(
        records={"people": list(records)},
        primary_keys={"people": "id"},
        cursors={"people": "at"} if incremental else {},
        schemas={"people": SCHEMA},
    )


def mapped(
    mappers: list[dict[str, Any]], mode: str = "append", source: MemorySource | None = None, **more: Any
) -> tuple[Result, list[dict[str, Any]]]:
    destination = more.pop("destination", None) or MemoryDestination()
    result = sync(source or people(), destination, [Selection("people", write_mode=mode, mappers=mappers)], **more)
    return result, destination.stored.get("people", [])


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_each_mapper_sees_what_the_one_before_has_left() -> None:
    result, rows = mapped(
        [
            {**HASH, "field_name_suffix": "_hash"},
            {"type": "field-renaming", "original_field_name": "email_hash", "new_field_name": "who"},
            OPEN,
            {"type": "field-filtering", "target_field": "status"},
        ]
    )
    assert rows == [
        {"id": 1, "at": 1, "who": sha256("rosa@example.com")},
        {"id": 3, "at": 3, "who": sha256("ünal@example.com")},
    ]
    figures = result.streams["people"]
    assert (result.status, figures.read, figures.written, figures.filtered) == (Status.succeeded, 3, 2, 1)


def test_the_destination_gets_the_schema_key_and_cursor_as_they_are_mapped() -> None:
    stream = Stream("people", schema=SCHEMA, primary_key=(("id",),), cursor=("at",))
    rename = {"type": "field-renaming", "original_field_name": "id", "new_field_name": "number"}
    plan = compile_mappers(stream, [rename, HASH, {"type": "field-filtering", "target_field": "at"}])
    assert plan.stream.primary_key == (("number",),)
    assert plan.stream.cursor is None
    assert list(plan.stream.schema["properties"]) == ["number", "email", "status"]
    assert plan.stream.schema["properties"]["email"] == {
        "type": ["string", "null"],
        "description": "Where to write to.",
    }


def test_tables_are_mapped_as_rows_are() -> None:
    stream = Stream("people", schema=SCHEMA, write=WRITES["append"])
    rename = {"type": "field-renaming", "original_field_name": "id", "new_field_name": "number"}
    plan = compile_mappers(stream, [OPEN, HASH, rename, {"type": "field-filtering", "target_field": "at"}])
    rows = plan.apply(Batch("people", rows=PEOPLE), False)
    table = plan.apply(Batch("people", table=pa.Table.from_pylist(PEOPLE)), False)
    assert table.batch.is_table
    assert [dict(sorted(row.items())) for row in table.batch.table().to_pylist()] == [
        dict(sorted(row.items())) for row in rows.batch.rows()
    ]
    assert table.filtered == rows.filtered == 1


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"type": "EQUAL", "field_name": "id", "comparison_value": "2"}, [2]),
        ({"type": "EQUAL", "field_name": "email", "comparison_value": "null"}, []),
        ({"type": "NOT", "conditions": [{"type": "EQUAL", "field_name": "id", "comparison_value": "2"}]}, [1, 3]),
        (
            {
                "type": "OR",
                "conditions": [
                    {"type": "EQUAL", "field_name": "id", "comparison_value": "1"},
                    {
                        "type": "AND",
                        "conditions": [
                            {"type": "EQUAL", "field_name": "status", "comparison_value": "open"},
                            {"type": "EQUAL", "field_name": "at", "comparison_value": "3"},
                        ],
                    },
                ],
            },
            [1, 3],
        ),
    ],
)
def test_conditions_compare_values_as_text(condition: dict[str, Any], ids: list[int]) -> None:
    _, rows = mapped([{"type": "row-filtering", "conditions": condition}])
    assert [row["id"] for row in rows] == ids


def test_a_record_that_no_longer_passes_a_filter_leaves_the_destination() -> None:
    destination, states = MemoryDestination(), MemoryStates()
    first, rows = mapped([OPEN], "append_dedup", people(incremental=True), destination=destination, states=states)
    assert [row["id"] for row in rows] == [1, 3]
    assert (first.streams["people"].filtered, first.streams["people"].deleted) == (1, 0)
    closed = [*PEOPLE, {**PEOPLE[0], "status": "closed", "at": 4}, {**PEOPLE[1], "status": "open", "at": 5}]
    second, rows = mapped(
        [OPEN], "append_dedup", people(closed, incremental=True), destination=destination, states=states
    )
    assert sorted(row["id"] for row in rows) == [2, 3]
    figures = second.streams["people"]
    assert (second.status, figures.read, figures.written, figures.filtered, figures.deleted) == (
        "succeeded",
        2,
        1,
        1,
        0,
    )


def test_within_one_batch_the_last_version_decides_whether_it_passes() -> None:
    second = [*PEOPLE, {**PEOPLE[0], "status": "closed", "at": 4}]
    result, rows = mapped([OPEN], "append_dedup", people(second))
    assert [row["id"] for row in rows] == [3]
    assert (result.status, result.streams["people"].superseded) == (Status.succeeded, 1)


def test_a_filter_that_leaves_nothing_keeps_the_old_data_and_says_so() -> None:
    destination = MemoryDestination()
    mapped([], "overwrite", destination=destination)
    nobody = {
        "type": "row-filtering",
        "conditions": {"type": "EQUAL", "field_name": "status", "comparison_value": "x"},
    }
    result, rows = mapped([nobody], "overwrite", destination=destination)
    assert len(rows) == 3
    assert result.status is Status.suspicious
    assert "a mapper left out all 3 records" in result.streams["people"].suspicions[0]


def test_what_cannot_be_mapped_is_rejected_with_its_reason_and_the_rest_arrives(tmp_path: Any) -> None:
    records = [*PEOPLE, {"id": 4, "email": "\ud800", "status": "open", "at": 4}]
    rejects = Rejects(tmp_path)
    result, rows = mapped([HASH], source=people(records), rejects=rejects)
    assert len(rows) == 3
    assert result.streams["people"].rejected == 1
    (entry,) = rejects.read("default")
    assert "the field email cannot be mapped" in entry["reason"]
    assert "mapped" not in entry


def test_a_replay_maps_no_record_twice(tmp_path: Any) -> None:
    class Picky(MemoryDestination):
        def prepare(self, stream: Stream, batch: Batch) -> Batch:
            if any(row["id"] == 1 for row in batch.rows()) and not (tmp_path / "mended").exists():
                raise RecordError("not today")
            return batch

    destination, rejects = Picky(), Rejects(tmp_path)
    records = [*PEOPLE, {"id": 4, "email": "\ud800", "status": "open", "at": 4}]
    selection = Selection("people", write_mode="append", mappers=[HASH], fields=["email"])
    sync(people(records), destination, [selection], rejects=rejects)
    assert sorted(entry.get("mapped", False) for entry in rejects.read("default")) == [False, True]
    path = rejects.path("default")
    path.write_text(path.read_text("utf-8").replace("\ufffd", "anna@example.com"), "utf-8")
    (tmp_path / "mended").touch()
    assert replay(people(records), destination, rejects, "default", [selection]).ok
    emails = {row["id"]: row["email"] for row in destination.stored["people"]}
    assert emails == {
        1: sha256("rosa@example.com"),
        2: None,
        3: sha256("ünal@example.com"),
        4: sha256("anna@example.com"),
    }


def test_an_estimate_counts_what_the_mappers_leave() -> None:
    estimated = estimate(people(), MemoryDestination(), [Selection("people", mappers=[OPEN])])
    assert estimated.streams["people"].figures == {"records": 2}
    assert estimated.streams["people"].deleted == 0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"type": "hashing", "target_field": "emial"}, "did you mean email?"),
        ({"type": "hashing"}, "target_field: it is missing"),
        ({"type": "hashing", "target_field": "email", "method": "MD2"}, "use SHA-256"),
        ({"type": "haching"}, "unknown type haching"),
        ({"type": "field-renaming", "original_field_name": "email", "new_field_name": "status"}, "has a field status"),
        ({"type": "field-filtering", "target_field": "id"}, "is written as append_dedup by its primary key id"),
        (
            {"type": "field-filtering", "target_field": "_ab_cdc_deleted_at"},
            "tells a destination which records were deleted",
        ),
        ({"type": "row-filtering", "conditions": {"type": "XOR"}}, "conditions"),
        ({"type": "encryption", "algorithm": "AES", "target_field": "email", "key": "secret"}, "in hex"),
        ({"type": "encryption", "algorithm": "RSA", "target_field": "email", "public_key": "abc"}, "not an RSA key"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_begins(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        mapped([wrong], "append_dedup")
    assert sentence in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_key_that_is_encrypted_differently_each_time_cannot_be_deduplicated() -> None:
    encrypt = {"type": "encryption", "algorithm": "AES", "target_field": "id", "key": "00" * 16}
    with pytest.raises(ConfigError, match="another text of the primary key id each time"):
        mapped([encrypt], "append_dedup")
    _, rows = mapped([{**encrypt, "mode": "ECB", "padding": "PKCS5Padding"}], "append_dedup")
    assert len({row["id"] for row in rows}) == 3


@pytest.mark.parametrize("mode", ["CBC", "CFB", "OFB", "CTR", "GCM", "ECB"])
def test_what_aes_has_encrypted_can_be_decrypted(mode: str) -> None:
    from cryptography.hazmat.decrepit.ciphers import modes as old
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    key, pads = bytes(range(32)), mode in ("CBC", "ECB")
    encrypt = {"type": "encryption", "algorithm": "AES", "target_field": "email", "key": key.hex(), "mode": mode}
    _, rows = mapped([{**encrypt, **({"padding": "PKCS5Padding"} if pads else {})}])
    sealed = bytes.fromhex(rows[0]["email"])
    iv, rest = (b"", sealed) if mode == "ECB" else (sealed[:16], sealed[16:])
    if mode == "GCM":
        way: Any = modes.GCM(iv, rest[-16:])
        rest = rest[:-16]
    else:
        way = modes.ECB() if mode == "ECB" else getattr(old if mode in ("CFB", "OFB") else modes, mode)(iv)
    run = Cipher(algorithms.AES(key), way).decryptor()
    opened = run.update(rest) + run.finalize()
    if pads:
        strip = PKCS7(128).unpadder()
        opened = strip.update(opened) + strip.finalize()
    assert opened == b"rosa@example.com"
    assert rows[1]["email"] is None


def test_what_rsa_has_encrypted_can_be_decrypted() -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = rsa.generate_private_key(65537, 1024)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    encrypt = {"type": "encryption", "algorithm": "RSA", "target_field": "email", "public_key": der.hex()}
    _, rows = mapped([encrypt])
    assert private.decrypt(bytes.fromhex(rows[0]["email"]), padding.PKCS1v15()) == b"rosa@example.com"
    long = [{**PEOPLE[0], "email": "x" * 500}]
    result, _ = mapped([encrypt], source=people([*long, *PEOPLE[1:]]))
    assert result.streams["people"].rejected == 1


def test_the_spelling_of_airbytes_api_goes_both_ways() -> None:
    plain = [
        {**HASH, "method": "SHA-512", "field_name_suffix": "_hash"},
        {"type": "row-filtering", "conditions": {"type": "NOT", "conditions": [OPEN["conditions"]]}},
    ]
    api = mapper_settings.to_api(plain)
    assert api[0] == {
        "type": "hashing",
        "mapperConfiguration": {"targetField": "email", "method": "SHA-512", "fieldNameSuffix": "_hash"},
    }
    assert mapper_settings.from_api(api, "people") == plain
    with pytest.raises(ConfigError, match="the mapper 1 of people has no mapperConfiguration"):
        mapper_settings.from_api([{"type": "hashing"}], "people")


def test_conditions_that_are_nested_without_end_are_refused() -> None:
    deep: dict[str, Any] = {"type": "EQUAL", "fieldName": "id", "comparisonValue": "1"}
    for _ in range(900):
        deep = {"type": "NOT", "conditions": [deep]}
    with pytest.raises(ConfigError, match="more than 40 levels deep"):
        mapper_settings.from_api([{"type": "row-filtering", "mapperConfiguration": {"conditions": deep}}], "people")
    with pytest.raises(ConfigError, match="more than 40 levels deep"):
        mapped([{"type": "row-filtering", "conditions": deep}])
