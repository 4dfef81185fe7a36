"""Zendesk from nothing while tokens end, faults happen and processes are killed; then compare with what there is.

    python scripts/zendesk_credentials.py --kind oauth2.0 --kills 10 --tickets 3000 --articles 400 --seed 1

Two connections of one source run at the same time, each in a process of its own: the help desk, and the help centers
of two brands in three locales. A stand-in for Zendesk ends access tokens after --lifetime seconds, and with each
refresh the pair before it. The processes get SIGKILL at random moments and are started again; the desk changes
meanwhile. At the end every record must be as it is at Zendesk, no two refreshes may have been open at once, and
none was refused.

A kill between the sending of a refresh and the keeping of its answer loses the pair, with every client there is.
The figures count it (`consents again`); an administrator would consent once more, and so does this script.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.stand_in import FaultKind, Faults
from kitestring.testing.zendesk import ZendeskStandIn

LOCALES = ("en-us", "de", "fr")
STREAMS = {
    "desk": ["tickets", "ticket_comments", "users", "organizations"],
    "guide": ["brands", "sections", "articles", "article_translations", "article_comments"],
}
COLUMNS = {
    "tickets": ("subject", "description", "status", "generated_timestamp"),
    "ticket_comments": ("body", "ticket_id"),
    "users": ("name", "email"),
    "organizations": ("name",),
    "brands": ("name", "subdomain"),
    "sections": ("name", "brand_id"),
    "articles": ("title", "body", "brand_id"),
    "article_translations": ("title", "body", "locale", "brand_id"),
    "article_comments": ("body", "brand_id"),
}
KINDS = ("client_credentials", "oauth2.0")


class Survivable(Faults):
    """Faults after which a client can go on: an answer to a refresh that is cut off is one with which nobody can."""

    def draw(self, path: str) -> FaultKind | None:
        kind = super().draw(path)
        return None if kind == "truncated" and path == "/oauth/tokens" else kind


class Run:
    """The project of one run, and the processes that sync it."""

    def __init__(self, zendesk: ZendeskStandIn, folder: Path, kind: str) -> None:
        self.zendesk, self.folder, self.kind = zendesk, folder, kind
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.starts = self.consents_again = 0
        self.failures: list[str] = []
        self.consent()

    def consent(self) -> None:
        """Write the project, with credentials from the beginning."""
        credentials = self.zendesk.consented() if self.kind == "oauth2.0" else self.zendesk.client_credentials
        destinations = {
            name: {"connector": "duckdb", "config": {"path": str(self.folder / f"{name}.duckdb")}} for name in STREAMS
        }
        connections = {
            name: {"source": "zendesk", "destination": name, "streams": streams} for name, streams in STREAMS.items()
        }
        config = {**self.zendesk.config, "credentials": credentials}
        project = {
            "sources": {"zendesk": {"connector": "zendesk_support", "config": config}},
            "destinations": destinations,
            "connections": connections,
        }
        # JSON is YAML.
        (self.folder / "kitestring.yaml").write_text(json.dumps(project, indent=1))

    def start(self, name: str) -> None:
        self.starts += 1
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "kitestring", "sync", name, "--json", "-q"],
            cwd=self.folder,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self, name: str) -> bool:
        """Whether the process was killed: it may have ended before."""
        process = self.processes[name]
        process.kill()
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            return False
        del self.processes[name]
        return True

    def ended(self, name: str) -> bool:
        """Whether the process ran through; one that failed is noted. Waits for its end."""
        process = self.processes.pop(name)
        out, err = process.communicate(timeout=900)
        if process.returncode == 0:
            return True
        messages = re.findall(r'"message": ?"([^"]*)"', out) or [(err or out)[-400:]]
        self.failures.append(messages[0])
        if any("refresh token" in message for message in messages):
            self.consents_again += 1
            self.consent()
        return False

    def finish(self) -> None:
        """Let every sync run through, both at a time, started again where a fault has ended one."""
        for _ in range(10):
            for name in STREAMS:
                if name not in self.processes:
                    self.start(name)
            succeeded = [self.ended(name) for name in STREAMS]
            if all(succeeded):
                return
        raise RuntimeError(f"the syncs do not run through: {self.failures[-3:]}")


def change(desk: HelpDesk, dice: random.Random) -> None:
    live = [ticket["id"] for ticket in desk.live_tickets()]
    for number in dice.sample(live, 3):
        desk.touch_ticket(number, comment=f"Once more, {number}.")
    desk.delete_ticket(dice.choice(live))
    desk.add_ticket("Something new", f"It broke at {desk.now}.")
    for subdomain, center in desk.help_centers.items():
        article = dice.choice([*center.articles])
        desk.translate(article, "de", f"Neu {desk.now}", "<p>Neuer Text</p>", subdomain)


def truth(desk: HelpDesk) -> dict[str, dict[int, tuple[str, ...]]]:
    """The records at Zendesk, by stream and id."""
    centers = [(desk.help_centers[brand["subdomain"]], brand) for brand in desk.brands]
    comments = [
        {**comment, "ticket_id": ticket["id"]}
        for ticket in desk.live_tickets()
        for comment in desk.comments(ticket["id"])
    ]

    def of_brands(rows_of: Any) -> list[dict[str, Any]]:
        return [{**row, "brand_id": brand["id"]} for center, brand in centers for row in rows_of(center)]

    rows = {
        "tickets": desk.live_tickets(),
        "ticket_comments": comments,
        "users": desk.users,
        "organizations": desk.organizations,
        "brands": desk.brands,
        "sections": of_brands(lambda center: center.sections),
        "articles": of_brands(lambda center: center.articles.values()),
        "article_translations": of_brands(
            lambda center: [row for a in center.articles for row in center.translations(a)]
        ),
        "article_comments": of_brands(lambda center: [row for a in center.articles for row in center.comments(a)]),
    }
    return {
        name: {row["id"]: tuple(str(row[column]) for column in COLUMNS[name]) for row in rows[name]} for name in rows
    }


def stored(folder: Path) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    import duckdb

    rows_by_stream = {}
    for name, streams in STREAMS.items():
        with duckdb.connect(str(folder / f"{name}.duckdb"), read_only=True) as database:
            for stream in streams:
                columns = ", ".join(f'"{column}"' for column in COLUMNS[stream])
                rows = database.execute(f'SELECT id, {columns} FROM "{stream}"').fetchall()  # noqa: S608
                rows_by_stream[stream] = [(row[0], tuple(str(value) for value in row[1:])) for row in rows]
    return rows_by_stream


def differences(desk: HelpDesk, folder: Path) -> dict[str, Any]:
    """By stream what is missing, too much, doubled or other; empty where all is as at Zendesk."""
    wrong: dict[str, Any] = {}
    wanted, have = truth(desk), stored(folder)
    for stream, rows in have.items():
        by_id = dict(rows)
        expected = wanted[stream]
        if stream == "ticket_comments":
            # What was said in a ticket that was deleted since stays: the export of events tells no deletions.
            by_id = {number: row for number, row in by_id.items() if int(row[1]) in wanted["tickets"]}
        differing = {
            "missing": sorted(expected.keys() - by_id.keys())[:5],
            "too many": sorted(by_id.keys() - expected.keys())[:5],
            "doubled": len(rows) - len(dict(rows)),
            "other": [number for number, row in by_id.items() if number in expected and row != expected[number]][:5],
        }
        if any(differing.values()):
            wrong[stream] = differing
    return wrong


def run(
    kind: str, folder: Path, *, kills: int, tickets: int, articles: int, lifetime_s: float, pause_s: float, seed: int
) -> dict[str, Any]:
    dice, began = random.Random(seed), time.monotonic()
    desk = HelpDesk(tickets=tickets, seed=seed, articles=articles // 2, locales=LOCALES)
    desk.add_brand("Foxglove", "foxglove", articles=articles - articles // 2, locales=LOCALES)
    faults = Survivable(
        seed=seed, rate_limit=0.02, server_error=0.02, drop=0.02, truncated=0.01, not_json=0.005, slow=0.5,
        retry_after_s=1, slow_s=pause_s / 20,
    )  # fmt: skip
    with ZendeskStandIn(desk=desk, token_lifetime_s=lifetime_s, export_page=50, faults=faults) as zendesk:
        zendesk.tokens.delay_s = 0.2
        syncs, killed = Run(zendesk, folder, kind), 0
        while killed < kills:
            for name in STREAMS:
                if name in syncs.processes and syncs.processes[name].poll() is not None and syncs.ended(name):
                    change(desk, dice)
                if name not in syncs.processes:
                    syncs.start(name)
            time.sleep(dice.uniform(0.2, 1.8) * pause_s)
            killed += syncs.kill(dice.choice([*STREAMS]))
        for _ in range(2):  # once more: what changed behind the one that ended first
            syncs.finish()
        exchanges = list(zendesk.tokens.exchanges)
        refreshes = sorted((e.began, e.ended) for e in exchanges if e.grant == "refresh_token")
        together = sum(after[0] < before[1] for before, after in pairwise(refreshes))
        statuses = [call.status for call in zendesk.requests]
        return {
            "kind": kind,
            "kills": killed,
            "processes": syncs.starts,
            "tokens": len([e for e in exchanges if e.status == 200]),
            "refreshes": len(refreshes),
            "refreshes at once": together,
            "refused token requests": len([e for e in exchanges if 400 <= e.status < 500]),
            "consents again": syncs.consents_again,
            "calls": len(statuses),
            "calls with an ended token": statuses.count(401),
            "calls with a fault": len([call for call in zendesk.requests if call.fault not in (None, "slow")]),
            "failed syncs": syncs.failures,
            "records": {name: len(rows) for name, rows in truth(desk).items()},
            "wrong": differences(desk, folder),
            "seconds": round(time.monotonic() - began),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="client_credentials")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--tickets", type=int, default=3_000)
    parser.add_argument("--articles", type=int, default=400)
    parser.add_argument("--lifetime", type=float, default=60.0, help="seconds that an access token lives")
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between kills, on average")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(
            options.kind, Path(folder), kills=options.kills, tickets=options.tickets, articles=options.articles,
            lifetime_s=options.lifetime, pause_s=options.pause, seed=options.seed,
        )  # fmt: skip
    print(json.dumps(figures, indent=2))
    refused = figures["refused token requests"] and not figures["consents again"]
    sys.exit(1 if figures["wrong"] or figures["refreshes at once"] or refused else 0)


if __name__ == "__main__":
    main()
