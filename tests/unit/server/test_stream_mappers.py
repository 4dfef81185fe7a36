"""Mappers of a connection: through the API, in the job, in a project file and back; the key stays out of the store."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from test_connections import finished, joined

from kitestring.server.config_as_code import export
from kitestring.server.connections import connection, stream_mappers
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.worker import Worker

pytestmark = pytest.mark.slow

KEY = "8f" * 16
REFERENCE = "${env:KITESTRING_CONFIG_MAIL_KEY}"


def hashing(**settings: Any) -> dict[str, Any]:
    return {"type": "hashing", "mapperConfiguration": {"targetField": "email", **settings}}


def encryption(key: str) -> dict[str, Any]:
    settings = {"algorithm": "AES", "targetField": "name", "key": key, "mode": "CTR", "fieldNameSuffix": ""}
    return {"type": "encryption", "mapperConfiguration": settings}


def users(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "users", "syncMode": "full_refresh_append", "mappers": list(given)}]


def test_a_sync_maps_and_looks_up_the_key_where_it_is_kept(context: Context, tmp_path: Path) -> None:
    secrets = context.settings.home / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "mail").write_text(f"{KEY}\n")
    only = {
        "type": "row-filtering",
        "mapperConfiguration": {
            "conditions": {
                "type": "NOT",
                "conditions": [{"type": "EQUAL", "fieldName": "id", "comparisonValue": "1"}],
            }
        },
    }
    plain_rows, rows = [
        run(context, tmp_path / name, provided)
        for name, provided in (
            ("plain", ()),
            ("mapped", (hashing(), only, encryption(f"${{file:{secrets / 'mail'}}}"))),
        )
    ]
    by_id = {row["id"]: row for row in plain_rows}
    assert sorted(row["id"] for row in rows) == sorted(set(by_id) - {1})
    for row in rows:
        assert row["email"] == hashlib.sha256(by_id[row["id"]]["email"].encode()).hexdigest()
        sealed = bytes.fromhex(row["name"])
        run_ = Cipher(algorithms.AES(bytes.fromhex(KEY)), modes.CTR(sealed[:16])).decryptor()
        assert (run_.update(sealed[16:]) + run_.finalize()).decode() == by_id[row["id"]]["name"]
    holders = [
        path for path in context.settings.home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert holders == [secrets / "mail"]


def run(context: Context, folder: Path, given: Any) -> list[dict[str, Any]]:
    connection_id = joined(context, folder, users(*given))
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        with context.store.write() as db:
            job = context.queue.enqueue(db, connection_id)
        row = finished(context, job)
    finally:
        worker.stop()
    assert row.status == "succeeded", row.error
    rows = [json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert row.records == len(rows)
    return rows


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ({"type": "hashing"}, "has no mapperConfiguration"),
        (hashing(method="MD2"), "use SHA-256"),
        ({"type": "hashing", "mapperConfiguration": {"targetField": "emial"}}, "did you mean email"),
        ({"type": "shuffling", "mapperConfiguration": {}}, "the unknown type shuffling"),
        (encryption(KEY), "keys are not kept with a connection"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_set(
    context: Context, tmp_path: Path, given: dict[str, Any], fact: str
) -> None:
    with pytest.raises(Problem, match=fact) as caught:
        joined(context, tmp_path, users(given))
    assert caught.value.status == 422
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_a_mapper_keeps_its_id_and_comes_back_as_it_was_set(context: Context, tmp_path: Path) -> None:
    connection_id = joined(context, tmp_path, users(hashing(), encryption(REFERENCE)))
    with context.store.read() as db:
        row = connection.get(db, connection_id)
        (stream,) = row.streams
        assert stream["mappers"][1]["mapperConfiguration"]["key"] == REFERENCE
        ids = [mapper["id"] for mapper in stream["mappers"]]
        second = connection.configure_streams(connection.discover(context, row.source_id), [stream])
        assert [mapper["id"] for mapper in second[0]["mappers"]] == ids
        (messages,) = export.link_of(row, {})["streams"]
    whole = {"target_field": "email", "method": "SHA-256", "field_name_suffix": ""}
    assert messages["mappers"][0] == {"type": "hashing", **whole}
    assert stream["mappers"][0]["mapperConfiguration"] == {
        "targetField": "email",
        "method": "SHA-256",
        "fieldNameSuffix": "",
    }
    assert messages["mappers"] == stream_mappers.to_project_file(stream["mappers"], "users")
