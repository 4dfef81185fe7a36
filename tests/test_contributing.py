"""The code blocks of CONTRIBUTING.md, run as they stand."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kitestring as ks
from kitestring.cli.new import Template
from kitestring.testing.stand_in import Call, StandIn, route

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"
BLOCKS = dict(re.findall(r"^```\w+ (\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE))


def module(name: str, *blocks: str) -> types.ModuleType:
    """The blocks as one module, importable as classes of a connector have to be."""
    created_type = types.ModuleType(name)
    created_type.pytest = pytest  # type: ignore[attr-defined]
    sys.modules[name] = created_type
    for block in blocks:
        exec(compile(BLOCKS[block], f"{PAGE.name}:{block}", "exec"), vars(created_type))
    return created_type


SOURCE = module("contributed_source", "source", "test_source")
DESTINATION = module("contributed_destination", "destination", "test_destination")
VECTOR_STORE = module("contributed_vector_store", "vector_store", "test_vector_store")


SQL_DESTINATION = module("contributed_sql_destination", "sql_destination", "test_sql_destination")


class TestFrankfurter(SOURCE.TestFrankfurter):  # type: ignore[misc, name-defined]
    """The contract on the source of the page."""


class TestJsonLines(DESTINATION.TestJsonLines):  # type: ignore[misc, name-defined]
    """The contract on the destination of the page."""


class TestSqliteVectors(VECTOR_STORE.TestSqliteVectors):  # type: ignore[misc, name-defined]
    """The contract on the vector store of the page."""


def test_the_vector_store_of_the_page_is_small() -> None:
    assert BLOCKS["vector_store"].count("\n") < 150


def test_the_sql_destination_of_the_page_is_the_template_of_new_ones() -> None:
    """`test_new_connector.py` runs all cases of the contract on it, half a minute long."""
    written = Template("destination", "lake", "", "", "", "destination_sql").text("destination_sql.py", "contributed")
    words = {
        '"""Lake: tables of a DuckDB file."""': '"""A lake: tables of a DuckDB file."""',
        '"""Tables of a DuckDB file."""': '"""Tables of a lake."""',
        '"the table cannot take': '"The lake cannot take',
        'title = "Lake"': 'title = "The lake"',
    }
    for ours, words_of_the_page in words.items():
        assert ours in written
        written = written.replace(ours, words_of_the_page)
    assert [*filter(None, written.splitlines())] == [*filter(None, BLOCKS["sql_destination"].splitlines())]


@pytest.mark.slow
class TestLake(SQL_DESTINATION.TestLake):  # type: ignore[misc, name-defined]
    """The class of the page itself is complete: cases that need what it defines."""


WITH_ITS_DEFINITIONS = {
    "test_columns_have_the_types_of_the_schema",
    "test_a_column_becomes_wider_and_never_narrower",
    "test_a_namespace_with_an_odd_name_is_a_schema",
    "test_append_keeps_all_records_of_two_syncs",
}
for case in {name for name in dir(TestLake) if name.startswith("test_")} - WITH_ITS_DEFINITIONS:
    setattr(TestLake, case, None)


def test_a_second_sync_from_the_source_of_the_page_to_its_destination_reads_on(tmp_path: Path) -> None:
    with SOURCE.Rates() as api:
        for _ in range(2):
            result = ks.sync(
                SOURCE.Frankfurter(base_url=api.url),
                DESTINATION.JsonLines(folder=tmp_path / "out"),
                state=tmp_path / "state.json",
                rejects=tmp_path / "rejects",
            )
            assert result.ok
        assert [call.path for call in api.requests] == ["/v1/2024-01-01..", "/v1/2024-01-30.."]
    assert len((tmp_path / "out" / "rates.jsonl").read_text().splitlines()) == 30  # none twice


class Countries(StandIn):
    @route("GET", "/countries")
    def countries(self, call: Call) -> Any:
        assert call.headers["authorization"] == "Bearer a-token"
        page = int(call.param("page", "1"))
        return {"data": [{"code": f"{n:02}", "name": f"Land {n}"} for n in range(page * 10 - 10, min(page * 10, 25))]}


@pytest.fixture
def countries() -> Iterator[Countries]:
    with Countries() as api:
        yield api


def test_the_manifest_of_the_page_reads_all_pages(tmp_path: Path, countries: Countries) -> None:
    path = tmp_path / "countries.yaml"
    path.write_text(BLOCKS["manifest"])
    source = ks.source(str(path), {"token": "a-token", "base_url": countries.url})
    assert len(list(source.read("countries"))) == 25


def test_the_page_has_the_blocks_that_are_run_here() -> None:
    assert set(BLOCKS) == {
        *("source", "test_source", "destination", "test_destination", "manifest", "vector_store", "test_vector_store"),
        *("sql_destination", "test_sql_destination"),
    }
