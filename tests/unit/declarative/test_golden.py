"""Whole manifests against a small library: requests, records and states as kept in `tests/golden/declarative`.

`KITESTRING_GOLDEN=write` writes the files anew; review the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from loopback import Api, Call, sync

from kitestring.declarative import DeclarativeSource

FOLDER = Path(__file__).parents[2] / "golden" / "declarative"
BOOKS = [
    {"id": 1, "kind": "novel", "changed": "2024-01-10", "author": 1},
    {"id": 2, "kind": "poems", "changed": "2024-02-20", "author": 1},
    {"id": 3, "kind": "novel", "changed": "2024-02-21", "author": 2, "hidden": True},
    {"id": 4, "kind": "essay", "changed": "2024-02-22", "author": 2},
    {"id": 5, "kind": "essay", "changed": "2024-03-02", "author": 2},
]
AUTHORS = [{"id": 1, "name": "Ann", "changed": "2024-02-20"}, {"id": 2, "name": "Bob", "changed": "2024-03-02"}]


def library(api: Api) -> None:
    def books(call: Call) -> Any:
        page = int(call.query.get("page", 1))
        found = BOOKS[page * 2 - 2 : page * 2]
        more = f'<{api.url}/v1/books?page={page + 1}&per_page=2>; rel="next"'
        return 200, found, {"Link": more} if page < 3 else {}

    def search(call: Call) -> Any:
        asked, page = call.json["range"], call.json["page"]
        found = [book for book in BOOKS if asked["from"] <= book["changed"] <= asked["to"]]
        shown = found[(page["number"] - 1) * page["size"] : page["number"] * page["size"]]
        return {"hits": [{"book": book} for book in shown]}

    def written(author: int) -> Any:
        def page(call: Call) -> Any:
            return {"books": [b for b in BOOKS if b["author"] == author and b["changed"] >= call.query["since"]]}  # type: ignore[operator]

        return page

    api.answers = {
        "/v1/books": books,
        "/login": {"token": "s3ss10n"},
        "/search": search,
        "/authors": lambda call: {"authors": [a for a in AUTHORS if a["changed"] >= call.query["since"]]},  # type: ignore[operator]
        "/authors/1/books": written(1),
        "/authors/2/books": written(2),
    }


def told(call: Call) -> str:
    query = "&".join(f"{name}={value}" for name, value in sorted(call.query.items()))
    secret = f"  [{call.headers['authorization']}]" if "authorization" in call.headers else ""
    body = f"  {call.body.decode()}" if call.body else ""
    return f"{call.method} {call.path}{'?' + query if query else ''}{body}{secret}"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_a_manifest_asks_reads_and_remembers_as_before(api: Api, name: str) -> None:
    library(api)
    lines: list[str] = []
    state: dict[str, Any] | None = None
    for title in ("the first sync", "the next sync"):
        source = DeclarativeSource.from_manifest(FOLDER / f"{name}.yaml", {"url": api.url, "key": "k3y", "user": "ann"})
        api.calls.clear()
        found = sync(source, "books", state)
        source.close()
        state = found.state
        shown = {key: value for key, value in found.state.items() if key != "lookback_window"}
        lines += [f"== {title}", *map(told, api.calls), "-- records", *map(json.dumps, found.records)]
        lines += ["-- state", json.dumps(shown, indent=1, sort_keys=True), ""]
    text = "\n".join(lines).replace(api.url, "http://library")
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("KITESTRING_GOLDEN") == "write":
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")
