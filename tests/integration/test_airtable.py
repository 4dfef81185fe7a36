from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.airtable import AirtableStandIn
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "airtable.txt"

PROBLEMS = "larkspur_hq/known_problems/tblProblems"
EXPECTED = {PROBLEMS: 230, "larkspur_hq/people/tblPeople": 20, "sales/people/tblPeople2": 5}


@pytest.fixture
def server():
    with AirtableStandIn() as server:
        yield server


@pytest.fixture
def airtable(server):
    found = source("airtable", server.config)
    yield found
    found.close()


def test_every_table_of_every_base_is_a_stream_and_is_read_completely(airtable):
    assert counted(airtable) == EXPECTED


def test_the_requests_are_the_golden_ones(server, airtable):
    assert_golden_requests(server, airtable, GOLDEN)


def test_the_schema_of_a_stream_is_that_of_the_table(airtable):
    fields = airtable.discover().get(PROBLEMS).schema["properties"]
    assert fields == {
        "_airtable_id": {"type": "string"},
        "_airtable_created_time": {"type": ["null", "string"], "format": "date-time"},
        "Title": {"type": ["null", "string"]},
        "Notes": {"type": ["null", "string"]},
        "Votes": {"type": ["null", "number"]},
        "Open": {"type": ["null", "boolean"]},
        "Tags": {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
        "Files": {"type": ["null", "array"], "items": {"type": ["null", "object"], "additionalProperties": True}},
        "Score": {},
    }


def test_names_of_fields_with_quotes_and_signs_are_kept(server):
    odd = 'It\'s "50 %" {{ 7 * 7 }} <b> ü'
    server.tables["appSales"][0]["fields"].append({"id": "f", "name": odd, "type": "number"})
    found = source("airtable", server.config).discover().get("sales/people/tblPeople2")
    assert found.schema["properties"][odd] == {"type": ["null", "number"]}


def test_a_column_called_id_does_not_replace_the_key(airtable):
    rows, _ = read(airtable, "larkspur_hq/people/tblPeople")
    assert (rows[1]["_airtable_id"], rows[1]["id"]) == ("rec00001", 1)


def test_only_the_named_bases_are_read(server):
    found = source("airtable", {**server.config, "base_ids": ["appSales"]}).discover()
    assert [stream.name for stream in found] == ["sales/people/tblPeople2"]


def test_a_list_whose_place_expired_is_read_again_from_its_beginning():
    with AirtableStandIn(expire=1) as server:
        rows, _ = read(source("airtable", server.config), PROBLEMS)
        assert len({row["_airtable_id"] for row in rows}) == 230


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with AirtableStandIn(limits=(Limit(3, 1.0),)) as server:
        assert len(read(source("airtable", server.config), PROBLEMS)[0]) == 230
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with AirtableStandIn(faults=Faults(seed=5, server_error=0.1, truncated=0.1)) as server:
        assert len(read(source("airtable", server.config), PROBLEMS)[0]) == 230


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("airtable", {**server.config, "credentials": {"api_key": "not-the-token"}}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_scope_is_an_error_with_the_way_out():
    with AirtableStandIn(forbidden=("meta",)) as server, pytest.raises(ConfigError, match=r"schema\.bases:read"):
        source("airtable", server.config).discover()
