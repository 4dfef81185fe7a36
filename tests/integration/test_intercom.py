from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.intercom import IntercomStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults, Quota

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "intercom.txt"

EXPECTED = {
    "conversations": 320, "conversation_parts": 321, "tickets": 40, "articles": 60, "collections": 4, "contacts": 170,
    "notes": 60, "companies": 230, "admins": 3, "teams": 1, "tags": 5, "segments": 2,
    "internal_articles": 120, "company_segments": 229, "contact_attributes": 2, "company_attributes": 2,
}  # fmt: skip


@pytest.fixture
def server():
    with IntercomStandIn() as server:
        yield server


@pytest.fixture
def intercom(server):
    actual_source = source("intercom", server.config)
    yield actual_source
    actual_source.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(intercom):
    assert counted(intercom) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with IntercomStandIn(conversations=160) as server:
        server.contacts = {key: row for key, row in server.contacts.items() if row["id"] < "c12"}
        assert_golden_requests(server, source("intercom", server.config), GOLDEN)


def test_a_second_read_brings_only_what_changed(server, intercom):
    names = ("conversations", "conversation_parts", "tickets", "contacts")
    states = {name: read(intercom, name)[1] for name in names}
    end = server.now
    server.touch(server.tickets, "5", open=False)
    server.touch(server.contacts, "c7", name="Changed")
    server.reply("8", "One more thought.")
    seen = len(server.requests)
    rows = {name: read(intercom, name, state)[0] for name, state in states.items()}
    fresh = {name: [row["id"] for row in results if row["updated_at"] > end] for name, results in rows.items()}
    assert fresh == {"conversations": ["8"], "conversation_parts": ["802"], "tickets": ["5"], "contacts": ["c7"]}
    assert max(map(len, rows.values())) < 5
    assert len(server.requests) - seen < 12


def test_a_contact_of_the_same_day_is_found_although_contacts_are_searched_by_day(server, intercom):
    _, state = read(intercom, "contacts")
    latest = max(row["updated_at"] for row in server.contacts.values())
    server.contacts["c3"]["updated_at"] = latest + 60
    assert "c3" in {row["id"] for row in read(intercom, "contacts", state)[0]}


def test_each_part_names_its_conversation(intercom):
    rows, _ = read(intercom, "conversation_parts")
    assert {row["conversation_id"] for row in rows} == {str(n) for n in range(1, 321) if n % 3}


@pytest.mark.parametrize("name", ["conversations", "tickets", "contacts"])
def test_what_changes_while_pages_are_read_hides_no_other(name):
    class Busy(IntercomStandIn):
        def _search(self, call, kind, field, rows, unit=1):
            answer = super()._search(call, kind, field, rows, unit)
            if call.json()["pagination"].get("starting_after", "0") == "0":
                self.touch(rows, sorted(rows)[3])
            return answer

    with Busy() as server:
        server.tickets = {
            str(n): {**server.tickets["1"], "id": str(n), "updated_at": 1737000000 + n} for n in range(200)
        }
        intercom = source("intercom", server.config)
        rows, state = read(intercom, name)
        more, _ = read(intercom, name, state)
        assert {row["id"] for row in [*rows, *more]} == set(getattr(server, name))


def test_internal_articles_are_followed_by_token_or_by_number(server, intercom):
    assert len(read(intercom, "internal_articles")[0]) == 120

    class Numbered(IntercomStandIn):
        def internal_articles(self, call):
            return self._page(call, "data", self.internal)

    with Numbered() as numbered:
        assert len(read(source("intercom", numbered.config), "internal_articles")[0]) == 120


@pytest.mark.parametrize("name", ["articles", "conversations", "internal_articles"])
def test_a_full_page_that_says_nothing_of_pages_is_an_error_and_not_the_last_one(name):
    class Silent(IntercomStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if isinstance(answer.body, dict):
                answer.body.pop("pages", None)
            return answer

    with Silent() as server:
        server.lists["articles"] = ("data", server.internal)
        with pytest.raises(KitestringError, match="pages"):
            read(source("intercom", server.config), name)


def test_segments_of_a_company_and_attributes_of_contacts_are_read(intercom):
    rows, _ = read(intercom, "company_segments")
    assert {row["name"] for row in rows if row["company_id"] == "2"} == {"Segment 0", "Segment 1"}
    assert {row["full_name"] for row in read(intercom, "contact_attributes")[0]} == {"name", "contact_size"}


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with IntercomStandIn(limits=(Quota(3, 1.0),)) as server:
        rows, _ = read(source("intercom", server.config), "conversations")
        more, _ = read(source("intercom", server.config), "contacts")
        assert (len(rows), len(more)) == (320, 170)
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with IntercomStandIn(faults=Faults(seed=5, server_error=0.1, truncated=0.1)) as server:
        assert len(read(source("intercom", server.config), "articles")[0]) == 60


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("intercom", {**server.config, "access_token": "not-the-token"}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_right_is_an_error_with_the_way_out():
    with IntercomStandIn(forbidden=("tickets",)) as server, pytest.raises(ConfigError, match="deselect the stream"):
        read(source("intercom", server.config), "tickets")


def test_a_page_of_companies_without_its_scroll_is_an_error_and_not_the_last_one():
    class Unmarked(IntercomStandIn):
        def answer(self, call):
            answer = super().answer(call)
            answer.body.pop("scroll_param", None)
            return answer

    with Unmarked() as server, pytest.raises(KitestringError, match=r"without scroll_param.*the stream ends here"):
        read(source("intercom", server.config), "companies")
