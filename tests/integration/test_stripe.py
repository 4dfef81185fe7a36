import time
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.stripe import COUNTS, DAY, StripeStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.stand_in import Answer, Faults, Quota

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "stripe.txt"


@pytest.fixture
def server():
    with StripeStandIn() as server:
        yield server


@pytest.fixture
def stripe(server):
    actual_source = source("stripe", server.config)
    yield actual_source
    actual_source.close()


@pytest.mark.slow
def test_every_stream_is_read_completely_and_fits_its_declared_fields(server, stripe):
    assert counted(stripe) == server.counts


@pytest.mark.slow
def test_the_requests_are_the_golden_ones(server, stripe):
    assert_golden_requests(server, stripe, GOLDEN, moving=r"\b1[789]\d{8}\b")
    assert {call.headers["stripe-account"] for call in server.requests} == {"acct_larkspur"}


def test_a_second_read_brings_only_what_is_new(server, stripe):
    states = {name: read(stripe, name)[1] for name in ("events", "balance_transactions")}
    added = {name: server.add(name)["id"] for name in states}
    rows = {name: [row["id"] for row in read(stripe, name, state)[0]] for name, state in states.items()}
    assert {name: results[0] for name, results in rows.items()} == added
    assert len(rows["events"]) == 2


def test_a_pending_balance_transaction_that_becomes_available_arrives(server, stripe):
    _, state = read(stripe, "balance_transactions")
    server.rows["balance_transactions"][310]["status"] = "available"
    rows, _ = read(source("stripe", server.config), "balance_transactions", state)
    assert next(row["status"] for row in rows if row["id"] == "ba_00310") == "available"
    assert len(rows) < 250  # a week of them, not all


# By events


def test_a_second_read_asks_for_the_objects_that_events_name_and_no_list(server, stripe):
    _, state = read(stripe, "customers")
    for _ in range(3):
        server.change("customers", 3, description="Moved to Bremen")
    new = server.add("customers")
    seen = len(server.requests)
    rows, state = read(stripe, "customers", state)
    assert [call.path for call in server.requests[seen:]] == [
        "/v1/events", f"/v1/customers/{new['id']}", "/v1/customers/cu_00003"
    ]  # fmt: skip
    # The event's own copy is of another version of the API.
    assert {row["description"] for row in rows} == {"Moved to Bremen", new["description"]}
    assert not any("blurb" in row for row in rows)
    server.change("customers", 3, description="Moved to Kiel")
    rows, _ = read(stripe, "customers", state)
    assert "Moved to Kiel" in {row["description"] for row in rows}


@pytest.mark.parametrize("kind", ["customers", "products", "invoices"])
def test_a_deleted_object_is_marked_whatever_else_happened_to_it(server, stripe, kind):
    _, state = read(stripe, kind)
    server.change(kind, 4)
    row = server.delete(kind, 4)
    rows, _ = read(stripe, kind, state)
    assert {actual_row["id"] for actual_row in rows} == {row["id"]}
    assert all(actual_row["_ab_cdc_deleted_at"] for actual_row in rows)
    assert rows[0]["object"] == row["object"]


def test_an_id_of_the_accounts_own_choice_is_asked_for_as_it_is(server, stripe):
    _, state = read(stripe, "coupons")
    for index, key in enumerate(("50% off", "spring/summer", "été?&#")):
        server.rows["coupons"][index]["id"] = key
        server.change("coupons", index, name=key)
    rows, _ = read(stripe, "coupons", state)
    assert {(row["id"], row["name"], row.get("_ab_cdc_deleted_at")) for row in rows} == {
        (key, key, None) for key in ("50% off", "spring/summer", "été?&#")
    }


@pytest.mark.parametrize("key", ["1_000", "None", "1e3", "'a'", "[1]"])
def test_an_id_that_looks_like_a_value_ends_no_list(server, stripe, key):
    server.rows["coupons"] = [{**server.rows["coupons"][0], "id": f"co_{n}"} for n in range(150)]
    server.rows["coupons"][50]["id"] = key
    assert len({row["id"] for row in read(stripe, "coupons")[0]}) == 150


def test_a_404_that_is_not_stripes_deletes_nothing():
    class Proxied(StripeStandIn):
        down = False

        def answer(self, call):
            if self.down and call.path.startswith("/v1/customers/"):
                return Answer(404, b"<html>no such backend</html>", {"Content-Type": "text/html"})
            return super().answer(call)

    with Proxied() as server:
        _, state = read(source("stripe", server.config), "customers")
        server.change("customers", 4)
        server.down = True
        with pytest.raises(ConfigError, match="404"):
            read(source("stripe", server.config), "customers", state)


def test_a_cancelled_subscription_is_no_deletion(server, stripe):
    _, state = read(stripe, "subscriptions")
    server.change("subscriptions", 3, status="canceled")
    server.rows["events"][-1]["type"] = "customer.subscription.deleted"
    (row,), _ = read(stripe, "subscriptions", state)
    assert (row["status"], row.get("_ab_cdc_deleted_at")) == ("canceled", None)


@pytest.mark.parametrize(("days", "whole"), [(28, False), (29.5, True), (31, True)])
def test_where_the_state_is_older_than_events_reach_the_list_is_read_whole(server, days, whole):
    state = {"updated": str(int(time.time() - days * DAY))}
    server.change("customers", 8, description="Before the events")
    server.rows["events"].clear()  # whatever told it is forgotten
    new = server.add("customers")
    rows, after = read(source("stripe", server.config), "customers", state)
    assert len(rows) == (231 if whole else 1)
    assert new["id"] in {row["id"] for row in rows}
    assert int(after["updated"]) >= int(state["updated"])


@pytest.mark.parametrize("kind", ["coupons", "products"])
def test_a_list_in_which_nothing_happens_is_read_whole_once_and_then_its_deletions(server, kind):
    for row in server.rows[kind]:
        row["created"] -= 60 * DAY
    server.rows["events"].clear()
    rows, state = read(source("stripe", server.config), kind)
    assert rows
    rows, state = read(source("stripe", server.config), kind, state)
    assert rows == []
    response = server.delete(kind, 2)
    rows, _ = read(source("stripe", server.config), kind, state)
    assert [(row["id"], bool(row["_ab_cdc_deleted_at"])) for row in rows] == [(response["id"], True)]


@pytest.mark.parametrize("state", [{}, {"__ab_full_refresh_sync_complete": True}])
def test_a_state_from_before_events_were_read_begins_with_the_list(stripe, state):
    assert len(read(stripe, "customers", state)[0]) == 230


@pytest.mark.slow
def test_faults_while_changed_objects_are_asked_for_cost_no_change(server, stripe):
    _, state = read(stripe, "products")
    for index in range(8):
        server.change("products", index)
    server.delete("products", 9)
    server.faults = Faults(seed=3, server_error=0.2, truncated=0.1, drop=0.1)
    rows, _ = read(source("stripe", server.config), "products", state)
    assert {row["id"] for row in rows} >= {f"pr_{n:05}" for n in (*range(8), 9)}
    assert [row["id"] for row in rows if row.get("_ab_cdc_deleted_at")] == ["pr_00009"]


@pytest.mark.parametrize(("days", "seconds"), [(None, 600), (0, 600), (2, 2 * DAY + 600)])
def test_events_are_asked_for_from_before_the_last_one(server, days, seconds):
    _, state = read(source("stripe", server.config), "customers")
    read(source("stripe", {**server.config, "lookback_window_days": days or 0}), "customers", state)
    assert int(server.requests[-1].param("created[gte]")) == int(state["updated"]) - seconds


def test_a_key_that_may_not_read_events_is_told_what_to_do(server):
    _, state = read(source("stripe", server.config), "customers")
    server.forbidden = ("events",)
    with pytest.raises(ConfigError, match="permission to read Events"):
        read(source("stripe", server.config), "customers", state)


# Lists inside objects


def test_line_items_and_subscription_items_are_complete_beyond_those_inline(server, stripe):
    lines, state = read(stripe, "invoice_line_items")
    assert sum(row["invoice_id"] == "in_00005" for row in lines) == 135
    items, items_state = read(stripe, "subscription_items")
    assert len({row["id"] for row in items}) == server.counts["subscription_items"]
    server.change("invoices", 5)
    server.change("subscriptions", 5)
    assert len(read(stripe, "invoice_line_items", state)[0]) == 135
    assert len(read(stripe, "subscription_items", items_state)[0]) == 135


def test_a_page_without_its_mark_is_not_the_last():
    class Unmarked(StripeStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if len(self.requests) == 1:
                del answer.body["has_more"]
            return answer

    with Unmarked() as server:
        assert len(read(source("stripe", server.config), "customers")[0]) == 230


def test_what_is_created_while_pages_are_read_hides_no_other():
    class Busy(StripeStandIn):
        def list_of(self, call, kind):
            self.add(kind)
            return super().list_of(call, kind)

        list_of.__routes__ = [("GET", "/v1/{kind}")]

    with Busy() as server:
        rows, _ = read(source("stripe", server.config), "customers")
        assert len({row["id"] for row in rows}) >= 230 == COUNTS["customers"]


def test_cancelled_subscriptions_are_read_too(stripe):
    rows, _ = read(stripe, "subscriptions")
    assert {row["status"] for row in rows} == {"active", "canceled"}


@pytest.mark.slow
def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with StripeStandIn(limits=(Quota(2, 1.0),)) as server:
        assert len(read(source("stripe", server.config), "events")[0]) == 250
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with StripeStandIn(faults=Faults(seed=5, server_error=0.2, truncated=0.1)) as server:
        assert len(read(source("stripe", server.config), "customers")[0]) == 230


def test_a_wrong_key_is_an_auth_error_that_does_not_show_it(server):
    with pytest.raises(AuthError, match="secret key is not accepted") as caught:
        source("stripe", {**server.config, "client_secret": "sk_not_the_key"}).check()
    assert "sk_not_the_key" not in str(caught.value)


def test_a_missing_right_is_an_error_with_the_way_out():
    with StripeStandIn(forbidden=("disputes",)) as server, pytest.raises(ConfigError, match="deselect the stream"):
        read(source("stripe", server.config), "disputes")


def test_an_account_without_connect_and_issuing_has_none_of_it_and_no_error():
    with StripeStandIn(plain=True) as server:
        stripe = source("stripe", server.config)
        assert [read(stripe, name)[0] for name in ("accounts", "application_fees", "cards", "authorizations")] == [
            []
        ] * 4
        server.forbidden = ("accounts",)
        with pytest.raises(ConfigError, match="deselect the stream"):
            read(stripe, "accounts")


def test_without_an_account_none_is_named(server):
    config = {key: value for key, value in server.config.items() if key != "account_id"}
    source("stripe", config).check()
    assert all("stripe-account" not in call.headers for call in server.requests)
