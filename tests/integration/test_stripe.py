from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults, Limit
from kitestring.testing.stripe import COUNTS, StripeStandIn

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "stripe.txt"


@pytest.fixture
def server():
    with StripeStandIn() as server:
        yield server


@pytest.fixture
def stripe(server):
    found = source("stripe", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(stripe):
    assert counted(stripe) == COUNTS


def test_the_requests_are_the_golden_ones(server, stripe):
    assert_golden_requests(server, stripe, GOLDEN)
    assert {call.headers["stripe-account"] for call in server.requests} == {"acct_larkspur"}


def test_a_second_read_brings_only_what_is_new(server, stripe):
    states = {name: read(stripe, name)[1] for name in ("events", "balance_transactions")}
    added = {name: server.add(name)["id"] for name in states}
    rows = {name: [row["id"] for row in read(stripe, name, state)[0]] for name, state in states.items()}
    assert {name: found[0] for name, found in rows.items()} == added
    assert max(map(len, rows.values())) == 2


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


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with StripeStandIn(limits=(Limit(2, 1.0),)) as server:
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


def test_without_an_account_none_is_named(server):
    config = {key: value for key, value in server.config.items() if key != "account_id"}
    source("stripe", config).check()
    assert all("stripe-account" not in call.headers for call in server.requests)
