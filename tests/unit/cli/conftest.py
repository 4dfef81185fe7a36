"""A folder of its own for each test, and two connectors of another package, found by their entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner, Result

from kitestring.cli.command_line import app

SHELF = '''
import json
from collections.abc import Iterator
from pathlib import Path

import kitestring as ks


class Shelf(ks.Destination):
    """JSON lines in a folder, that can be searched word by word."""

    folder: Path
    key: str = ks.secret("")
    broken: str = ""

    def check(self):
        if self.broken:
            raise ks.AuthError(f"the shelf refused the key {self.key}", hint="Ask for another key.")

    def write(self, stream, batch):
        if self.broken == "write":
            raise RuntimeError("the shelf fell over")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{stream.name}.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\\n" for row in batch.rows())

    def estimate(self, stream, batch):
        return {"chunks": 2 * len(batch), "tokens": 10 * len(batch), "cost_usd": 0.01 * len(batch)}

    def search(self, text, *, where=None, limit=10, threshold=None, hybrid=None, stream=None):
        hits = []
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in path.open():
                row = json.loads(line)
                if text in row["name"]:
                    hits.append({"id": row["id"], "stream": path.stem, "text": row["name"], "asked": where})
                    hits[-1]["distance"] = 0.25
        return hits[:limit]


class Feed(ks.Source):
    """Three records, of which one cannot be taken."""

    token: str = ks.secret()
    bad: bool = True

    def check(self):
        if self.token == "wrong":
            raise ks.AuthError("the feed refused the token wrong", hint="Make a new token.")

    @ks.stream(primary_key="id")
    def items(self) -> Iterator[ks.Record]:
        yield {"id": 1, "name": "one"}
        if self.bad:
            yield ks.Reject({"id": 2, "name": None}, "the name is null")
        yield {"id": 3, "name": "three"}
'''


@pytest.fixture(autouse=True)
def shelf_and_feed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package on the path, as `pip install` would leave it."""
    site = tmp_path_factory.mktemp("site")
    (site / "shelf_and_feed.py").write_text(SHELF)
    info = site / "shelf_and_feed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf-and-feed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        dedent("""\
            [kitestring.sources]
            feed = shelf_and_feed:Feed
            [kitestring.destinations]
            shelf = shelf_and_feed:Shelf
            """)
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("shelf_and_feed", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("KITESTRING_HOME", "KITESTRING_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Callable[..., Result]:
    """`kitestring ARGUMENTS` in the folder."""

    def call(*arguments: str, input: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input, prog_name="kitestring")

    return call


@pytest.fixture
def project(folder: Path) -> Path:
    """A project of two connections."""
    path = folder / "kitestring.yaml"
    path.write_text(
        dedent("""\
            sources:
              people:
                connector: sample
                config: {count: 5}
              feed:
                connector: feed
                config: {token: "${FEED_TOKEN:-very-secret}"}
            destinations:
              shelf:
                connector: shelf
                config: {folder: out}
            connections:
              people_to_shelf:
                source: people
                destination: shelf
                streams: [users, products]
              feed_to_shelf:
                source: feed
                destination: shelf
            """)
    )
    return path
