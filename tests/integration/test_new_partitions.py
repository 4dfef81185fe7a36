"""What is added to a source later, through the engine into DuckDB: its whole history arrives, nothing else again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from stand_ins.asana import AsanaStandIn
from stand_ins.github import GitHubStandIn
from stand_ins.github_repository import Repository
from stand_ins.gitlab import GitLabStandIn
from stand_ins.jira import JiraStandIn
from stand_ins.slack import SlackStandIn

import kitestring

DAY = 86_400
Vendor = tuple[Any, dict[str, tuple[str, Callable[[], list[str]]]], Callable[[], None]]
"""A server, the keys that its streams have (field and values), and what adds the second part."""
EDGE = {"channel_messages": 9}
"""What comes again at the cursors of two parts. Slack's messages of the last 30 days do, for their late replies."""


def ids(rows: Any, key: str = "id") -> list[str]:
    return [str(row[key]) for row in rows]


def github() -> Vendor:
    server = GitHubStandIn()
    server.repositories = {r.full_name: r for r in (Repository("docs", 12, 1),)}
    later = Repository("old", 12, 1)
    truth = {
        "issues": ("id", lambda: [i for r in server.repositories.values() for i in ids(r.issues.values())]),
        "comments": ("id", lambda: [i for r in server.repositories.values() for i in ids(r.comments)]),
    }
    return server, truth, lambda: server.repositories.update({later.full_name: later})


def gitlab() -> Vendor:
    server = GitLabStandIn(issues=10)
    of_issues = {
        "issues": ("id", lambda: [i for (_, kind), rows in server.rows.items() if kind == "issues" for i in ids(rows)]),
        "issue_comments": (
            "id",
            lambda: [
                i
                for (_, kind, _), rows in server.notes.items()
                if kind == "issues"
                for row in rows
                if not row["system"]
                for i in ids([row])
            ],
        ),
    }

    def add() -> None:
        server.now -= 400 * DAY
        server.add_project("larkspur/old", 10)
        server.now += 800 * DAY

    return server, of_issues, add


def jira() -> Vendor:
    server = JiraStandIn(issues=30)
    for number, issue in list(server.issues.items())[:20]:
        if issue["fields"]["project"]["key"] == "API":
            server.add_comment(number, "Of the project that comes later.")
    server.add_issue("WEB", "The last one", "It broke.")
    server.hidden = {"API"}

    def seen() -> list[str]:
        return [n for n, i in server.issues.items() if i["fields"]["project"]["key"] not in server.hidden]

    truth = {
        "issues": ("id", seen),
        "issue_comments": ("id", lambda: [i for n in seen() for i in ids(server.comments[n])]),
    }
    return server, truth, server.hidden.clear


def slack() -> Vendor:
    server = SlackStandIn(messages=24)

    def add() -> None:
        server.now -= 300 * DAY
        channel = server.add_channel("old")
        for n in range(5):
            server.reply(server.post(channel, f"Old {n}"), "Indeed")
        server.now += 600 * DAY

    truth = {
        "channel_messages": ("ts", lambda: [i for rows in server.messages.values() for i in ids(rows, "ts")]),
        "threads": ("ts", lambda: [i for rows in server.replies.values() for i in ids(rows, "ts")]),
    }
    return server, truth, add


def asana() -> Vendor:
    server = AsanaStandIn(tasks=20)
    truth = {
        "tasks": ("gid", lambda: [gid for gid, task in server.tasks.items() if task["projects"]]),
        "stories": (
            "gid",
            lambda: [i for t, task in server.tasks.items() if task["projects"] for i in ids(server.stories[t], "gid")],
        ),
    }
    return server, truth, lambda: server.add_project("p9", 12, 1_600_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", [github, gitlab, jira, slack, asana])
def test_what_is_added_later_arrives_whole_and_nothing_else_is_read_again(vendor: Any, tmp_path: Path) -> None:
    server, truth, add = vendor()
    path = tmp_path / "store.duckdb"

    def synced() -> dict[str, int]:
        with kitestring.source(vendor.__name__, server.config) as source:
            target = kitestring.destination("duckdb", {"path": str(path)})
            result = kitestring.sync(source, target, list(truth), state=tmp_path / "state.json", connection="c")
        assert result.ok
        with duckdb.connect(str(path), read_only=True) as store:
            for stream, (key, rows) in truth.items():
                stored = [str(row[0]) for row in store.execute(f"select {key} from {stream}").fetchall()]
                assert sorted(stored) == sorted(rows()), stream
        return {stream: result.streams[stream].read for stream in truth}

    with server:
        synced()
        before = {stream: len(rows()) for stream, (_, rows) in truth.items()}
        add()
        new = {stream: len(rows()) - before[stream] for stream, (_, rows) in truth.items()}
        assert all(new.values()), "the second part has records of each stream"
        second = {stream: read - new[stream] for stream, read in synced().items()}
        assert all(0 <= count <= EDGE.get(stream, 2) < before[stream] / 2 for stream, count in second.items()), second
