import time
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.airtable import CLIENT, SECRET, AirtableStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.help_desk.objects import BEGIN
from kitestring.testing.stand_in import Faults, Quota

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "airtable.txt"

PROBLEMS = "larkspur_hq/known_problems/tblProblems"
TASKS = "sales/tasks/tblTasks"
EXPECTED = {PROBLEMS: 230, "larkspur_hq/people/tblPeople": 20, "sales/people/tblPeople2": 5, TASKS: 140}


@pytest.fixture
def server():
    with AirtableStandIn() as server:
        yield server


@pytest.fixture
def airtable(server):
    actual_source = source("airtable", server.config)
    yield actual_source
    actual_source.close()


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
    response = source("airtable", server.config).discover().get("sales/people/tblPeople2")
    assert response.schema["properties"][odd] == {"type": ["null", "number"]}


def test_a_column_called_id_does_not_replace_the_key(airtable):
    rows, _ = read(airtable, "larkspur_hq/people/tblPeople")
    assert (rows[1]["_airtable_id"], rows[1]["id"]) == ("rec00001", 1)


def test_only_the_named_bases_are_read(server):
    catalog = source("airtable", {**server.config, "base_ids": ["appSales"]}).discover()
    assert [stream.name for stream in catalog] == ["sales/people/tblPeople2", TASKS]


def test_a_list_whose_place_expired_is_read_again_from_its_beginning():
    with AirtableStandIn(expire=1) as server:
        rows, _ = read(source("airtable", server.config), PROBLEMS)
        assert len({row["_airtable_id"] for row in rows}) == 230


def test_a_record_that_quotes_an_error_is_a_record(server, airtable):
    server.records["tblProblems"][3]["Title"] = "LIST_RECORDS_ITERATOR_NOT_AVAILABLE, RATE_LIMIT_REACHED"
    assert len(read(airtable, PROBLEMS)[0]) == 230


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with AirtableStandIn(limits=(Quota(3, 1.0),)) as server:
        assert len(read(source("airtable", server.config), PROBLEMS)[0]) == 230
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with AirtableStandIn(faults=Faults(seed=5, server_error=0.1, truncated=0.1)) as server:
        assert len(read(source("airtable", server.config), PROBLEMS)[0]) == 230


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("airtable", {**server.config, "credentials": {"api_key": "not-the-token"}}).check()
    assert "not-the-token" not in str(caught.value)


# OAuth


def with_oauth(server, **more):
    pair = server.tokens.granted()
    credentials = {"client_id": CLIENT, "client_secret": SECRET, "access_token": pair.access_token,
                   "refresh_token": pair.refresh_token, **more}  # fmt: skip
    return source("airtable", {**server.config, "credentials": credentials}), credentials


@pytest.mark.parametrize("method", [{}, {"auth_method": "oauth2.0"}])
def test_an_access_token_is_used_until_it_ends_and_then_renewed_once_for_all_tables(server, method):
    airtable, credentials = with_oauth(server, token_expiry_date="2099-01-01T00:00:00Z", **method)
    kept = []
    airtable.on_config(kept.append)
    assert len(read(airtable, PROBLEMS)[0]) == 230
    assert server.tokens.exchanges == []
    server.tokens.end_access()
    assert len(read(airtable, TASKS)[0]) == 140
    assert len(read(airtable, PROBLEMS)[0]) == 230
    assert len(server.tokens.refreshes) == 1
    renewed = kept[-1]["credentials"]
    assert renewed["refresh_token"] != credentials["refresh_token"]
    second = source("airtable", {**server.config, "credentials": renewed})
    assert len(read(second, TASKS)[0]) == 140
    assert len(server.tokens.refreshes) == 1


def test_a_refresh_token_that_was_used_before_is_an_auth_error_that_does_not_show_it(server):
    airtable, credentials = with_oauth(server, token_expiry_date="2020-01-01T00:00:00Z")
    server.tokens.end_all()
    with pytest.raises(AuthError) as caught:
        airtable.check()
    assert credentials["refresh_token"] not in str(caught.value)


# What changed, and comments


def test_where_it_is_wanted_a_table_with_a_time_of_change_is_filtered_by_it(server):
    config = {**server.config, "incremental": True}
    airtable = source("airtable", config)
    streams = {stream.name: stream.cursor for stream in airtable.discover()}
    assert streams == {**dict.fromkeys(EXPECTED), TASKS: ("Last",)}
    rows, state = read(airtable, TASKS)
    assert len(rows) == 140
    server.change("tblTasks", 5, BEGIN + 200 * 3600, Task="Write to Ada")
    server.records["tblTasks"].append({"Task": "New", "Last": "2025-02-01T00:00:00.000Z"})
    rows, after = read(source("airtable", config), TASKS, state)
    assert {row["Task"] for row in rows} >= {"Write to Ada", "New"}
    assert len(rows) == 3  # and the one with the last value
    assert after["Last"] > state["Last"]


def test_a_record_that_changes_while_a_table_is_read_comes_with_the_next_sync():
    class Busy(AirtableStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if call.path.endswith("/tblTasks") and "offset" not in call.params:
                self.change("tblTasks", 2, int(time.time()) + 1, Task="Changed on a page that was read")
                self.change("tblTasks", 130, int(time.time()) + 2)
            return answer

    with Busy() as server:
        config = {**server.config, "incremental": True}
        _, state = read(source("airtable", config), TASKS)
        rows, _ = read(source("airtable", config), TASKS, state)
        assert "Changed on a page that was read" in {row["Task"] for row in rows}


def test_without_the_wish_tables_are_read_whole(server, airtable):
    assert all(stream.cursor is None for stream in airtable.discover())
    read(airtable, TASKS)
    assert not any("filterByFormula" in call.params for call in server.requests)


def test_comments_are_asked_of_records_that_have_some(server):
    airtable = source("airtable", {**server.config, "comments": True})
    seen = len(server.requests)
    rows, _ = read(airtable, f"{PROBLEMS}/comments")
    assert len({row["id"] for row in rows}) == 122
    assert {row["_airtable_record_id"] for row in rows} == {"rec00001", "rec00003", "rec00150"}
    paths = [call.path for call in server.requests[seen:] if call.path.endswith("/comments")]
    assert len(paths) == 4
    assert rows[0]["text"] == "Seen again today."


def test_a_missing_scope_is_an_error_with_the_way_out():
    with AirtableStandIn(forbidden=("meta",)) as server, pytest.raises(ConfigError, match=r"schema\.bases:read"):
        source("airtable", server.config).discover()
