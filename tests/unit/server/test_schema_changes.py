"""A changed schema: what each policy does with it, and what people are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from connection_ends import failed, row_of
from fastapi.testclient import TestClient
from sqlalchemy import update
from test_connections import joined

from kitestring.errors import SchemaError
from kitestring.server.app import create_app
from kitestring.server.connections import connection, schema_change
from kitestring.server.connections.connection import Catalog
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import connections

pytestmark = pytest.mark.slow


HOURLY = {"type": "basic", "every": 1, "unit": "hours"}


def altered(before: Catalog, stream: str, *, drop: str = "", add: str = "", removed: bool = False) -> dict[str, Any]:
    """The catalog with one field less, one more, or without the stream."""
    streams = []
    for single_stream in before.streams:
        if single_stream["name"] == stream:
            if removed:
                continue
            fields = {name: kind for name, kind in single_stream["json_schema"]["properties"].items() if name != drop}
            if add:
                fields[add] = {"type": "string"}
            single_stream = {**single_stream, "json_schema": {**single_stream["json_schema"], "properties": fields}}
        streams.append(single_stream)
    return {"streams": streams}


@pytest.fixture
def users(context: Context, tmp_path: Path) -> str:
    streams = [{"name": "users", "syncMode": "incremental_deduped_history"}]
    return joined(context, tmp_path / "out", streams, timing=HOURLY)


def ask(context: Context, connection_id: str, policy: str, body: dict[str, Any]) -> Any:
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == connection_id).values(schema_policy=policy))
    return schema_change.handle(context, None, connection.plan_of(context, connection_id), body)


def before(context: Context, connection_id: str) -> Catalog:
    return Catalog(row_of(context, connection_id).catalog)


def test_a_new_field_stays_out_is_taken_or_pauses_as_the_policy_says(context: Context, users: str) -> None:
    grown = altered(before(context, users), "users", add="nickname")
    plan = ask(context, users, "ignore", grown)
    assert "nickname" not in plan.selections[0].fields
    assert "name" in plan.selections[0].fields
    with pytest.raises(SchemaError, match=r"new fields: users\.nickname"):
        ask(context, users, "disable_connection", grown)
    row = row_of(context, users)
    assert (row.status, row.pending_changes["changes"]["newFields"]) == ("inactive", ["users.nickname"])
    with context.store.write() as db:
        schema_change.accept(context, db, users)
    row = row_of(context, users)
    assert (row.status, row.pending_changes) == ("active", None)
    assert "nickname" in str(row.catalog)


def test_a_connection_can_be_held_against_what_its_source_has_now_without_changing_it(
    context: Context, users: str
) -> None:
    known = altered(before(context, users), "users", drop="email", add="nickname")
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == users).values(catalog=known))
    answer = TestClient(create_app(context)).post(f"/api/kitestring/v1/connections/{users}/diff")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["newFields"], body["goneFields"]) == (["users.email"], ["users.nickname"])
    assert not any(body[kind] for kind in ("newStreams", "goneStreams", "otherTypes", "breaking"))
    row = row_of(context, users)
    assert (row.catalog, row.status, row.pending_changes) == (known, "active", None)


def test_a_change_that_breaks_nothing_can_be_dismissed_and_is_not_asked_for_again(context: Context, users: str) -> None:
    grown = altered(before(context, users), "users", add="nickname")
    with pytest.raises(SchemaError):
        ask(context, users, "disable_connection", grown)
    with context.store.write() as db:
        schema_change.dismiss(context, db, users)
    row = row_of(context, users)
    assert (row.status, row.pending_changes) == ("active", None)
    assert row.next_run_at_ms is not None
    assert ask(context, users, "disable_connection", grown) is None
    fields = connection.plan_of(context, users).selections[0].fields
    assert "name" in fields
    assert "nickname" not in fields


def test_a_change_that_breaks_cannot_be_dismissed(context: Context, users: str) -> None:
    with pytest.raises(SchemaError):
        ask(context, users, "ignore", altered(before(context, users), "users", drop="id"))
    with pytest.raises(Problem, match="breaks it"), context.store.write() as db:
        schema_change.dismiss(context, db, users)
    assert row_of(context, users).status == "inactive"


def test_columns_are_propagated_and_streams_too_where_that_is_wanted(context: Context, users: str) -> None:
    more = altered(before(context, users), "users", add="nickname")
    more["streams"].append({**more["streams"][0], "name": "teams"})
    assert ask(context, users, "propagate_columns", more) is None
    assert "nickname" in str(row_of(context, users).catalog)
    assert [stream["name"] for stream in row_of(context, users).streams] == ["users"]
    more["streams"].append({**more["streams"][0], "name": "rooms"})
    plan = ask(context, users, "propagate_fully", more)
    assert [selection.name for selection in plan.selections] == ["users", "rooms"]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"drop": "id"}, "the primary key id of users is gone"),
        ({"drop": "updated_at"}, "the cursor updated_at of users is gone"),
        ({"removed": True}, "the stream users is gone"),
    ],
)
def test_what_breaks_pauses_and_asks_whatever_the_policy(
    context: Context, users: str, change: dict[str, Any], fact: str
) -> None:
    with pytest.raises(SchemaError, match=fact):
        ask(context, users, "propagate_fully", altered(before(context, users), "users", **change))
    assert fact in row_of(context, users).status_reason


def test_what_breaks_pauses_a_connection_too_that_is_run_by_hand_and_failures_do_not(
    context: Context, tmp_path: Path
) -> None:
    streams = [{"name": "users", "syncMode": "incremental_deduped_history"}]
    connection_id = joined(context, tmp_path / "out", streams)
    failed(context, connection_id, {"type": "AuthError", "message": "the token was refused"})
    assert row_of(context, connection_id).status == "active"
    with pytest.raises(SchemaError):
        ask(context, connection_id, "ignore", altered(before(context, connection_id), "users", drop="id"))
    row = row_of(context, connection_id)
    assert (row.status, "primary key id" in row.status_reason) == ("inactive", True)
    with context.store.write() as db:
        schema_change.accept(context, db, connection_id)
    assert row_of(context, connection_id).status == "active"


def test_a_field_that_nobody_needs_may_go(context: Context, users: str) -> None:
    less = altered(before(context, users), "users", drop="age")
    assert ask(context, users, "ignore", less) is None
    assert row_of(context, users).status == "active"


@pytest.mark.parametrize("policy", ["ignore", "propagate_columns"])
def test_a_chosen_field_may_go_and_the_others_stay_chosen(context: Context, users: str, policy: str) -> None:
    chosen = [{**stream, "selectedFields": [{"fieldPath": [name]} for name in ("id", "updated_at", "name", "age")]}
              for stream in row_of(context, users).streams]  # fmt: skip
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == users).values(streams=chosen))
    plan = ask(context, users, policy, altered(before(context, users), "users", drop="age"))
    assert [*plan.selections[0].fields] == ["id", "updated_at", "name"]
    assert plan.selections[0].new_fields == ("leave" if policy == "ignore" else "take")
    assert row_of(context, users).status == "active"


def test_a_stream_that_loses_all_its_chosen_fields_pauses_the_connection(context: Context, users: str) -> None:
    chosen = [{**stream, "selectedFields": [{"fieldPath": ["age"]}]} for stream in row_of(context, users).streams]
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == users).values(streams=chosen))
    with pytest.raises(SchemaError, match="all chosen fields of users are gone"):
        ask(context, users, "propagate_columns", altered(before(context, users), "users", drop="age"))
    assert row_of(context, users).status == "inactive"


def test_what_became_of_a_change_is_in_the_history_of_the_connection(context: Context, users: str) -> None:
    grown = altered(before(context, users), "users", add="nickname")
    with pytest.raises(SchemaError):
        ask(context, users, "disable_connection", grown)
    client = TestClient(create_app(context))
    client.post(f"/api/kitestring/v1/connections/{users}/changes/accept")
    changes = client.get(f"/api/kitestring/v1/connections/{users}/history").json()["changes"]
    decisions = [(change["action"], change["sentence"]) for change in changes if change["kind"] == "schema_change"]
    assert decisions == [("accept", "new fields: users.nickname"), ("ask", "new fields: users.nickname")]
    # A new choice of the streams decides too.
    more = altered(Catalog(row_of(context, users).catalog), "users", add="town")
    with pytest.raises(SchemaError):
        ask(context, users, "disable_connection", more)
    streams = {"streams": [{"name": "users", "syncMode": "incremental_deduped_history"}]}
    changed = client.patch(f"/api/public/v1/connections/{users}", json={"configurations": streams, "status": "active"})
    assert changed.status_code == 200, changed.text
    assert (row_of(context, users).pending_changes, row_of(context, users).status) == (None, "active")
