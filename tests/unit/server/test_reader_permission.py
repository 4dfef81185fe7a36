"""The permission of readers: on every route that reads a destination, nobody sees what it leaves out."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from test_connections import create_endpoint

from kitestring import registry
from kitestring.engine import sync
from kitestring.errors import KitestringError
from kitestring.server.auth import user
from kitestring.server.child.search_calls import READS
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from kitestring.server.store.tables import applications, audit
from kitestring.server.workspaces import workspaces
from kitestring.testing.memory import MemorySource
from tests.unit.server.tenants import Browser, admin

pytestmark = pytest.mark.slow
OWN = "/api/kitestring/v1"
ANN, BOB = "ann@example.com", "bob@example.com"
NOTES: list[dict[str, Any]] = [
    {"id": 1, "allowed": [ANN], "groups": ["support"], "team": 7, "text": "a note"},
    {"id": 2, "allowed": [BOB], "groups": ["sales"], "team": 8, "text": "a note", "salary": 5},
    {"id": 3, "allowed": None, "text": "a note"},
    {"id": 4, "allowed": ["ANN@example.com", f" {ANN}"], "text": "a note"},
    {"id": 5, "allowed": ANN, "text": "a note"},
]
TEMPLATE = {"or": [{"allowed": {"contains": "$user"}}, {"groups": {"contains_any": "$groups"}}]}
HEADER = "Kitestring-On-Behalf-Of"


def config_of(path: Path) -> dict[str, Any]:
    return {
        "processing": {"chunk_size": 20, "text_fields": ["text"]},
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(path), "collection": "notes"},
    }


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "milvus.db"
    destination = registry.destination("milvus", config_of(path))
    result = sync(MemorySource(records={"notes": NOTES}, primary_keys={"notes": "id"}), destination, ["notes"])
    assert result.ok, result.as_dict()
    return path


@pytest.fixture
def destination(context: Context, notes: Path, tmp_path: Path) -> str:
    admin(context)
    path = Path(shutil.copytree(notes, tmp_path / "milvus.db"))
    return create_endpoint(context, "destination", "milvus", config_of(path))


def caller(context: Context, email: str, role: str = "workspace_reader") -> Browser:
    with context.store.write() as db:
        grant = user.Grant(role, workspace_id=workspaces.default(db).id)
        user.add(db, email, None, 1, grants=(grant,))
    return Browser(context, email)


def application_of(context: Context, email: str) -> str:
    with context.store.read() as db:
        owner = user.by_email(db, email)
        assert owner is not None
        query = applications.select().where(applications.c.user_id == owner.id)
        return str(db.execute(query).one().id)


def put(client: Browser, destination: str, permission: Any, names: list[str] | None = None) -> Any:
    body = {"permission": permission, "applications": names or []}
    return client.put(f"{OWN}/destinations/{destination}/reader-permission", json=body)


def read(client: Browser, destination: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The ids of the records that each route shows."""
    place = f"{OWN}/destinations/{destination}"

    def post(path: str, body: dict[str, Any]) -> Any:
        answer = client.post(f"{place}/{path}", json=body, headers=headers)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    listed = client.get(f"{place}/data/streams", headers=headers)
    assert listed.status_code == 200, listed.text
    rows = post("data/rows", {"stream": "notes"})
    return {
        "search": sorted(hit["record_id"] for hit in post("search", {"text": "note", "limit": 100})["data"]),
        "rows": sorted(row["recordId"] for row in rows["rows"]),
        "map": sorted(point["recordId"] for point in post("data/map", {"streams": ["notes"]})["points"]),
        "record": sorted(
            f"notes_{n}" for n in range(1, 6)
            if post("data/record", {"stream": "notes", "recordId": f"notes_{n}"})["data"]
        ),
        "ask": sorted(passages_of(client, destination, headers)),
        "counts": (rows["total"], sum(stream["chunks"] or 0 for stream in listed.json()["data"])),
    }  # fmt: skip


def passages_of(client: Browser, destination: str, headers: Any) -> set[str]:
    """The records that an answer could use."""
    body = {"question": "note", "limit": 20, "useModel": False}
    answer = client.post(f"{OWN}/destinations/{destination}/ask/events", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    data = answer.text.partition("data: ")[2].partition("\n")[0]
    return {passage["recordId"] for passage in json.loads(data)["passages"]}


def only(*numbers: int) -> dict[str, Any]:
    ids = [f"notes_{number}" for number in numbers]
    return {"search": ids, "rows": ids, "map": ids, "record": ids, "ask": ids, "counts": (len(ids), len(ids))}


def test_readers_see_what_the_permission_lets_pass_and_admins_everything(context: Context, destination: str) -> None:
    root, ann, bob = (
        Browser(context, "root@example.com"),
        caller(context, ANN),
        caller(context, BOB, "workspace_editor"),
    )
    assert read(ann, destination) == only(1, 2, 3, 4, 5)
    for refused in (ann, bob):
        assert put(refused, destination, None).status_code == 403
    assert put(root, destination, TEMPLATE).status_code == 200
    assert read(ann, destination) == only(1)
    assert read(bob, destination) == only(2)
    assert read(root, destination) == only(1, 2, 3, 4, 5)
    assert read(root, destination, {HEADER: json.dumps({"user": ANN, "groups": ["sales"]})}) == only(1, 2)
    place = f"{OWN}/destinations/{destination}"
    whole = root.post(f"{place}/data/rows", json={"stream": "notes"}).json()["rows"]
    chunks = {row["recordId"]: row["chunkId"] for row in whole}
    hidden = ann.post(f"{place}/data/neighbours", json={"chunkId": chunks["notes_2"]})
    unknown = ann.post(f"{place}/data/neighbours", json={"chunkId": "1234567890"})
    assert hidden.status_code == unknown.status_code == 422
    assert "no chunk" in hidden.text
    near = ann.post(f"{place}/data/neighbours", json={"chunkId": chunks["notes_1"]}).json()["data"]
    assert near == []
    similar = f"{place}/similar"
    seed = {"stream": "notes", "recordId": "notes_1"}
    assert ann.post(similar, json={"records": [seed], "diversity": 0.5}).json()["data"] == []
    assert [each["recordId"] for each in ann.post(similar, json={"text": "note"}).json()["data"]] == ["notes_1"]
    answers = [ann.post(similar, json={"records": [{**seed, "recordId": name}]}) for name in ("notes_2", "notes_9")]
    assert {answer.status_code for answer in answers} == {422}
    assert answers[0].text == answers[1].text.replace("notes_9", "notes_2")
    for where in ("id >= 0) or (id >= 0", "chunk_number >= 0", "$.id >= 0"):
        answer = ann.post(f"{place}/search", json={"text": "note", "where": where})
        assert answer.status_code == 422, where
        assert "permission" in answer.text, where
    for forged in ({"or": [{"id": {"gte": 0}}, {"text": "x"}]}, {"not": {"allowed": {"contains": ANN}}}):
        hits = ann.post(f"{place}/search", json={"text": "note", "where": forged}).json()["data"]
        assert {hit["record_id"] for hit in hits} <= {"notes_1"}, forged
    # A field that only hidden records have is one that there is not.
    hidden, unknown = (
        ann.post(f"{place}/search", json={"text": "note", "where": {name: 5}}) for name in ("salary", "nothing")
    )
    assert hidden.status_code == 422
    assert hidden.text == unknown.text.replace("nothing", "salary")
    answer = ann.post(f"{place}/search", json={"text": "note", "permission": None, "where": {}})
    assert answer.status_code in (400, 422)
    with context.store.read() as db:
        entries = [row.changes for row in db.execute(audit.select().where(audit.c.resource_id == destination))]
    assert any("reader_permission" in name for entry in entries for name in entry)
    assert put(root, destination, None).json() == {"permission": None, "applications": []}
    assert read(ann, destination) == only(1, 2, 3, 4, 5)


def test_an_application_reads_for_others_only_if_an_admin_says_so(context: Context, destination: str) -> None:
    root, program = Browser(context, "root@example.com"), caller(context, "program@example.com", "workspace_admin")
    other = caller(context, "other@example.com")
    for_ann = {HEADER: json.dumps({"user": ANN, "groups": []})}
    place = f"{OWN}/destinations/{destination}"
    # Without a permission the header would be without effect, and everything shown.
    assert program.post(f"{place}/search", json={"text": "x"}, headers=for_ann).status_code == 422
    assert put(root, destination, TEMPLATE, ["nobody"]).status_code == 422
    assert put(root, destination, TEMPLATE, [application_of(context, "program@example.com")]).status_code == 200
    assert read(program, destination, for_ann) == only(1)
    assert read(program, destination, {HEADER: json.dumps({"user": "", "groups": ["sales"]})}) == only(2)
    assert read(program, destination, {HEADER: json.dumps({"user": "\u00e4", "groups": []})}) == only()
    # It is the application of an admin, and still reads nothing in its own name.
    assert program.post(f"{place}/search", json={"text": "x"}).status_code == 403
    assert other.post(f"{place}/search", json={"text": "x"}, headers=for_ann).status_code == 403
    for status, header in (
        (422, '{"user": "ann@example.com"}'),
        (422, '{"user": {"ne": "x"}, "groups": []}'),
        (422, '{"user": ["ann@example.com", null], "groups": []}'),
        (422, '{"user": null, "groups": []}'),
        (422, '{"user": "a\\ud800", "groups": []}'),
        (400, '{"user": "x", "user": "ann@example.com", "groups": []}'),
        (400, "ann@example.com"),
        (400, '["ann@example.com"]'),
        (400, "null"),
        (400, ""),
    ):
        answer = program.post(f"{place}/search", json={"text": "x"}, headers={HEADER: header})
        assert answer.status_code == status, (header, answer.text)
    twice = [(HEADER, for_ann[HEADER]), (HEADER, '{"user": "bob@example.com", "groups": []}')]
    assert program.post(f"{place}/search", json={"text": "x"}, headers=twice).status_code == 400


@pytest.mark.parametrize(
    "permission", [{}, {"not": {"private": True}}, {"a": None}, {"or": [{}]}, {"a": {"contains": {"b": 1}}}, {"a": "$"}]
)
def test_a_permission_that_lets_more_pass_than_it_says_is_refused(
    context: Context, destination: str, permission: Any
) -> None:
    root = Browser(context, "root@example.com")
    answer = put(root, destination, permission)
    if permission == {"a": "$"}:  # an attribute without a name: no reader has it
        assert read_status(caller(context, ANN), destination) == 422
    else:
        assert answer.status_code == 422, answer.text


def read_status(client: Browser, destination: str) -> int:
    return client.post(f"{OWN}/destinations/{destination}/search", json={"text": "x"}).status_code


def test_no_action_of_a_search_process_reads_past_the_permission(context: Context, destination: str) -> None:
    with context.store.read() as db:
        end = endpoints.endpoint_of(context, db, "destination", destination)
    row = {"stream": "notes", "recordId": "notes_1", "chunkId": "1", "streams": ["notes"], "text": "note"}
    (chunk, *_) = context.searches.run(
        "data_record", {**row, "longest": 50, "destination": end.body()},
        destination_id=destination, generation="", limit_s=60, place=None,
    )  # fmt: skip
    row |= {"texts": ["note"], "chunkIds": [chunk["chunkId"]]}
    request = {**row, "limit": 50, "offset": 0, "longest": 500, "most": 50, "destination": end.body()}
    visible = {"chunk_similarities": lambda value: value[0][0] > 0.9}
    for action in READS.keys() - {"reading_facts", "similarities"}:  # also those that come later; these read no chunk
        shown = []
        for permission in ({"team": {"gte": 0}}, {"missing": "x"}):
            asked = {**request, "permission": permission}
            with suppress(KitestringError):
                value = context.searches.run(
                    action, asked, destination_id=destination, generation="", limit_s=60, place=None
                )
                shown.append(visible.get(action, lambda value: "notes" in json.dumps(value))(value))
        assert shown in ([True, False], []), action
        assert shown or action == "data_neighbours", action


def test_an_answer_says_what_is_near_which_words_it_has_and_how_fresh_it_is(context: Context, destination: str) -> None:
    root = Browser(context, "root@example.com")
    body = {"text": "the notes of ann", "limit": 2, "perRecord": 1}
    answer = root.post(f"{OWN}/destinations/{destination}/search", json=body).json()
    assert len(answer["data"]) == 2
    assert answer["highlights"] == [[[2, 6]], [[2, 6]]]
    assert (answer["metric"], answer["nearest"], answer["hybrid"]) == ("L2", "smallest", False)
    assert (answer["lastSyncAtMs"], answer["writing"]) == (None, False)
    assert root.post(f"{OWN}/destinations/{destination}/search", json={**body, "perRecord": 0}).status_code == 400
