"""Every page of the web interface at four widths, light and dark: empty, with 3 and with 300 connections of awkward
names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from kitestring.server.connections import watched_slot
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.http.web_interface import DIST, PAGE
from kitestring.server.jobs.log import Log, Logs
from kitestring.server.run import Server
from kitestring.server.settings import Settings
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import (
    connection_tags,
    connections,
    destinations,
    replication_slots,
    sources,
    tags,
    workspaces,
)
from tests.browser.chromium import CHROMIUM
from tests.browser.conftest import accessible, picture, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTHS = {390: 844, 768: 1024, 1440: 900, 2560: 1440}
CONNECTIONS = 300
UNBROKEN = "customer_support_tickets_of_all_regions_" * 5
"""200 characters without a space."""
NAMES = (
    UNBROKEN,
    "تذاكر الدعم الفني لجميع العملاء في الشرق الأوسط وشمال أفريقيا",
    "🎫🧵 Tickets → 🪁 kite 👩‍👩‍👧‍👦",
    "<b>Tickets</b> & 'articles'",
    "T",
)
FAILURE = {
    "type": "AuthError",
    "message": f"GET https://example.com/api/v2/{'incremental/tickets/cursor' * 8} answered 401 Unauthorized",
    "hint": "Renew the token of the source, then sync again. " * 3,
}

OUTSIDE = """() => {
  const reached = element => {
    for (let parent = element.parentElement; parent; parent = parent.parentElement) {
      const style = getComputedStyle(parent);
      // It scrolls, or it is there for screen readers.
      if (['auto', 'scroll'].includes(style.overflowX) || style.clipPath !== 'none') return true;
    }
    return false;
  };
  return [...document.querySelectorAll('header *, main *')]
    .filter(element => element.matches('a, button, input, select, h1, h2, h3, label, time, code, [data-color]'))
    .filter(element => {
      const { left, right, width, height } = element.getBoundingClientRect();
      const shown = width > 1 && height > 1 && getComputedStyle(element).visibility !== 'hidden';
      return shown && (right > innerWidth + 1 || left < -1) && !reached(element) && !element.closest('.skip, .unseen');
    })
    .slice(0, 3)
    .map(element => element.outerHTML.slice(0, 160));
}"""
"""What can be read or pressed and lies beyond the window's edge, where nothing scrolls to it."""

WHOLE = (
    "[...document.querySelectorAll('main [data-color]')]"
    ".filter(badge => badge.offsetParent && badge.scrollWidth > badge.clientWidth + 1).map(badge => badge.innerText)"
)
"""Badges whose word is cut."""

MEASURES = f"""async () => {{
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return [document.documentElement.scrollWidth, ({OUTSIDE})(), {WHOLE}];
}}"""
"""The page's width and both lists, once it is drawn: asked for in one go, since there are hundreds of pages."""

IDLE = "!document.querySelector('main .mantine-Skeleton-root, main [role=status][aria-label=Loading]')"


@dataclass
class Shown:
    """A server in this process, whose store is filled without its API. It runs no jobs of its own."""

    context: Context
    url: str
    ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    if not (DIST / PAGE).is_file():
        pytest.skip("the web interface is not built (make ui)")
    context = Context.of(Settings(home=tmp_path_factory.mktemp("server") / "home", port=0, workers=0))
    running = Server(context)
    running.start()
    yield Shown(context, running.url)
    running.stop()
    context.close()


SLOT: dict[str, Any] = {
    "server": "7", "place": "PostgreSQL at db.example.com:5432/shop", "publication": "kitestring", "created": True,
    "slot": "kitestring_of_the_shop", "wal_status": "reserved", "active": False, "end": 9_000_000,
    "confirmed": 8_000_000, "retained_bytes": 5_300_000_000, "safe_bytes": None,
}  # fmt: skip
SLOTS: tuple[dict[str, Any], ...] = (
    SLOT,
    {**SLOT, "slot": UNBROKEN[:63], "wal_status": "lost", "confirmed": None},
    {**SLOT, "slot": "nearly_lost", "wal_status": "unreserved", "safe_bytes": 40_000_000},
)


def fill_ends(shown: Shown, folder: Path) -> None:
    """Sources and destinations with awkward names."""
    context = shown.context
    with context.store.write() as db:
        now, workspace = context.store.now_ms(db), db.execute(select(workspaces.c.id).limit(1)).scalar_one()
        check = {"status": "failed", "message": FAILURE["message"], "checkedAtMs": now}
        times = {"created_at_ms": now - 86_400_000, "updated_at_ms": now}
        for table, kind, connector, config in (
            (sources, "source", "sample", {"count": 3}),
            (destinations, "destination", "files", {"path": str(folder)}),
        ):
            definition = definitions.of_type(kind, connector).id
            rows = [
                {
                    "id": new_id(),
                    "workspace_id": workspace,
                    "definition_id": definition,
                    "connector": connector,
                    "name": f"{kind} {name}",
                    "config": config,
                    "created_by": "rosa@example.com",
                    **times,
                    "last_check": None if at else check,
                }
                for at, name in enumerate(NAMES)
            ]
            db.execute(insert(table), rows)
            shown.ids |= {f"{kind} {at}": row["id"] for at, row in enumerate(rows)}


def fill(shown: Shown, numbers: range) -> None:
    """Connections with awkward names and tags; some have run, and some have a replication slot."""
    context = shown.context
    with context.store.write() as db:
        now, workspace = context.store.now_ms(db), db.execute(select(workspaces.c.id).limit(1)).scalar_one()
        times = {"created_at_ms": now - 86_400_000, "updated_at_ms": now}
        schedule = {"type": "cron", "expression": "0 15 3 ? * MON-FRI", "time_zone": "America/Argentina/ComodRivadavia"}
        names = [*NAMES, *(f"connection {at:03}" for at in range(len(NAMES), CONNECTIONS))]
        rows = [
            {
                "id": new_id(),
                "workspace_id": workspace,
                "schema_policy": "ignore",
                "options": {},
                **times,
                "name": names[at],
                "prefix": "",
                "created_by": UNBROKEN[:60],
                "source_id": shown.ids[f"source {at % 5}"],
                "destination_id": shown.ids[f"destination {at % 5}"],
                "status": "inactive" if at % 11 == 10 else "active",
                "namespace_definition": "destination",
                "status_reason": f"It failed 10 times in a row: {FAILURE['message']}" if at % 11 == 10 else "",
                "schedule": schedule if at % 2 else {"type": "manual"},
                "next_run_at_ms": now + 3_600_000,
                "streams": [{"name": name, "syncMode": "full_refresh_overwrite"} for name in ("users", "products")],
            }
            for at in numbers
        ]
        db.execute(insert(connections), rows)
        shown.ids |= {f"connection {at}": row["id"] for at, row in zip(numbers, rows, strict=True)}
        if 0 in numbers:
            labels = [
                {"id": new_id(), "workspace_id": workspace, "name": name, "color": color}
                for name, color in ((UNBROKEN[:60], "E03131"), ("عاجل", "2F9E44"))
            ]
            db.execute(insert(tags), labels)
            tagged = [{"connection_id": row["id"], "tag_id": label["id"]} for row in rows[:3] for label in labels]
            db.execute(insert(connection_tags), tagged)
            for row, slot in zip(rows, SLOTS, strict=False):
                watched_slot.record_report(db, row["id"], slot, now, 1_000_000)
            # No database is behind them: the server is not to look.
            db.execute(update(replication_slots).values(look_at_ms=now + 86_400_000))
            of_second = replication_slots.c.connection_id == rows[1]["id"]
            db.execute(update(replication_slots).where(of_second).values(problem=FAILURE["message"]))
    for at in range(12):
        if at not in numbers:
            continue
        shown.ids[f"job {at}"] = run(
            shown, shown.ids[f"connection {at}"], ("failed", "succeeded", "suspicious")[at % 3]
        )


def run(shown: Shown, connection: str, status: str) -> str:
    """A job that has ended, with its log; its id."""
    context = shown.context
    with context.store.write() as db:
        context.queue.enqueue(db, connection)
    claim = context.queue.claim("sizes")
    assert claim is not None
    log = Log(Logs(context.settings.home).path(claim.job_id, claim.attempt))
    for number in range(40):
        level = "error" if number == 30 and status == "failed" else "info"
        log.entry(level, f"page {number} of {UNBROKEN} was read", url=f"https://example.com/{UNBROKEN}")
    log.close()
    error = FAILURE if status == "failed" else None
    streams = {
        name: {
            "status": status,
            "read": 1_234_567,
            "written": 1_234_000,
            "bytes": 9_876_543_210,
            "seconds": 4000,
            "superseded": 567,
            "figures": {"chunks_embedded": 9_876_543, "chunks_reused": 12, "tokens": 1_000_000, "cost_usd": 1234.5},
            **({"error": error} if error else {}),
            "suspicions": [f"{name}: 1,234,000 were written, the destination holds 1"]
            if status == "suspicious"
            else [],
        }
        for name in ("users", UNBROKEN, "مقالات")
    }
    context.queue.finish(claim, status, streams=streams, error=error)
    return str(claim.job_id)


def go(page: Any, path: str, ready: str) -> None:
    """Open a page as a link of the interface does, and wait until nothing of it is loading."""
    page.evaluate("path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')) }", path)
    page.locator("main").get_by_text(ready).first.wait_for()
    until(page, IDLE)


def problems(page: Any, path: str, name: str) -> list[str]:
    """What lies outside, is cut or breaks a rule of axe: at each width, light and dark."""
    wrong = []
    for scheme, axe_at in (("light", 390), ("dark", 1440)):
        page.emulate_media(color_scheme=scheme)
        until(page, f"document.documentElement.dataset.mantineColorScheme === '{scheme}'")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            place = f"{path} at {width}, {scheme}"
            wide, outside, cut = page.evaluate(MEASURES)
            if wide > width:
                wrong.append(f"{place}: {wide} px wide")
            wrong += [f"{place}: outside: {html}" for html in outside]
            wrong += [f"{place}: cut: {text}" for text in cut]
            picture(page, f"sizes/{name}-{scheme}-{width}")
            if width == axe_at:
                try:
                    accessible(page)
                except AssertionError as error:
                    wrong.append(f"{place}: {error}")
    return wrong


EMPTY = {
    "/connections": "Connect your first source",
    "/sources": "No source yet",
    "/destinations": "No destination yet",
    "/jobs": "No job yet",
    "/data": "No data yet",
    "/usage": "Usage",
    "/settings": "A job failed",
    "/connections/new": "Part of Kitestring",
    "/nowhere": "Page not found",
}


def test_pages_of_an_empty_server_fit_every_width(visit: Callable[..., Any], server: Shown) -> None:
    assert not server.ids, "this test is the first of its file"
    page = visit("/connections")
    wrong = []
    for path, ready in EMPTY.items():
        go(page, path, ready)
        wrong += problems(page, path, f"empty{path.replace('/', '-')}")
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)


@pytest.fixture(scope="module")
def few(server: Shown, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    fill_ends(server, tmp_path_factory.mktemp("sizes"))
    fill(server, range(3))
    return server


def test_pages_with_3_connections_fit_every_width(visit: Callable[..., Any], few: Shown) -> None:
    ids = few.ids
    pages = {
        "/connections": "3 connections",
        f"/connections/{ids['connection 0']}": "waits for the next sync",
        f"/connections/{ids['connection 1']}": "its log is lost",
        "/jobs": "newest first",
        "/data": "Data",
        "/usage": "Usage",
    }
    page = visit("/connections")
    wrong = []
    for at, (path, ready) in enumerate(pages.items()):
        go(page, path, ready)
        wrong += problems(page, path, f"few-{at:02}")
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)


def test_a_replication_slot_shows_what_the_database_retains_and_why_it_needs_a_person(
    visit: Callable[..., Any], few: Shown
) -> None:
    page = visit("/connections")
    lines = []
    for at, width in ((0, 390), (1, 1440), (2, 390)):
        page.set_viewport_size({"width": width, "height": 900})
        go(page, f"/connections/{few.ids[f'connection {at}']}", "Replication slot")
        line = page.locator("[data-slot-state]")
        box, area = line.bounding_box(), page.locator("main").bounding_box()
        assert area["x"] <= box["x"] and box["x"] + box["width"] <= area["x"] + area["width"] + 1  # noqa: PT018
        lines.append(line.inner_text())
    calm, lost, near = lines
    assert calm.startswith("Replication slot kitestring_of_the_shop: waits for the next sync")
    assert "5.3 GB" in calm
    assert "1.0 MB behind" in calm
    assert f"{UNBROKEN[:63]}: its log is lost" in lost
    assert "behind" not in lost
    assert "Run a sync" in lost
    assert "cannot be checked now: GET" in lost
    assert "its log is about to be removed" in near
    assert "lost after 40.0 MB more" in near
    assert "Sync now" in near


@pytest.fixture(scope="module")
def full(few: Shown) -> Shown:
    fill(few, range(3, CONNECTIONS))
    return few


def test_pages_with_300_connections_and_awkward_names_fit_every_width(visit: Callable[..., Any], full: Shown) -> None:
    ids = full.ids
    connection, job = f"/connections/{ids['connection 0']}", f"/jobs/{ids['job 0']}"
    pages = {
        "/connections": "of 300 connections",
        "/connections?condition=failed": "failed",
        connection: "The last",
        f"{connection}?tab=streams": "products",
        f"{connection}?tab=jobs": "Failed",
        f"{connection}?tab=state": "No state yet",
        f"{connection}?tab=settings": "Delete this connection",
        f"/connections/{ids['connection 10']}": "in a row",
        "/connections/new": "Where does the data come from?",
        f"/connections/new?source={ids['source 0']}": "Where does it go?",
        f"/connections/new?source={ids['source 0']}&destination={ids['destination 0']}": "products",
        "/sources": "5 sources",
        f"/sources/{ids['source 0']}": "Fails",
        "/sources/new": "Part of Kitestring",
        "/sources/new?connector=postgres": "Host",
        "/destinations": "5 destinations",
        f"/destinations/{ids['destination 1']}": "Last test",
        "/destinations/new?connector=milvus": "Embedding",
        "/jobs": "newest first",
        job: "page 30 of",
        f"/jobs/{ids['job 2']}": "Two numbers disagree",
        "/data": "Data",
        "/usage": "Usage",
        **{f"/settings?tab={tab}": text for tab, text in SETTINGS.items()},
    }
    page = visit("/connections")
    wrong = []
    for at, (path, ready) in enumerate(pages.items()):
        go(page, path, ready)
        wrong += problems(page, path, f"full-{at:02}")
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)


SETTINGS = {
    "notifications": "A job failed",
    "users": "No users yet",
    "applications": "application",
    "audit": "Who",
    "updates": "Connectors of Kitestring",
    "configuration": "YAML",
    "server": "Environment variables",
    "workspace": "Name of the workspace",
}
