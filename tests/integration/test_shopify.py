from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.shopify import COUNTS, ShopifyStandIn
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "shopify.txt"


@pytest.fixture
def server():
    with ShopifyStandIn() as server:
        yield server


@pytest.fixture
def shopify(server):
    found = source("shopify", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(shopify):
    assert counted(shopify) == COUNTS


def test_the_requests_are_the_golden_ones(server, shopify):
    assert_golden_requests(server, shopify, GOLDEN)


def test_every_declared_field_is_asked_for(server, shopify):
    for stream in shopify.discover():
        seen = len(server.requests)
        read(shopify, stream.name)
        words = set(server.requests[seen].json()["query"].replace("(", " ").split())
        assert set(stream.schema["properties"]) <= words, stream.name


def test_a_second_read_brings_only_what_changed(server, shopify):
    names = ("products", "orders", "articles")
    states = {name: read(shopify, name)[1] for name in names}
    changed = {name: server.touch(name, 4, note="Changed")["id"] for name in names}
    rows = {name: [row["id"] for row in read(shopify, name, state)[0]] for name, state in states.items()}
    assert {name: found[-1] for name, found in rows.items()} == changed
    assert max(map(len, rows.values())) == 2


def test_a_product_that_changes_while_pages_are_read_hides_no_other():
    class Busy(ShopifyStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if self.requests:
                self.touch("products", len(self.requests))
            return answer

    with Busy() as server:
        rows, _ = read(source("shopify", server.config), "products")
        assert len({row["id"] for row in rows}) == 230


def test_an_exhausted_bucket_is_waited_for_and_costs_no_record():
    with ShopifyStandIn(limits=(Limit(2, 1.0),)) as server:
        assert len(read(source("shopify", server.config), "products")[0]) == 230
        assert len(server.requests) > 3


def test_faults_cost_time_but_no_record():
    with ShopifyStandIn(faults=Faults(seed=5, server_error=0.2, truncated=0.1)) as server:
        assert len(read(source("shopify", server.config), "orders")[0]) == 210


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"auth_method": "api_password", "api_password": "not-the-token"}
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("shopify", {**server.config, "credentials": credentials}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_scope_is_an_error_and_never_an_empty_sync():
    with ShopifyStandIn(denied=("orders",)) as server, pytest.raises(ConfigError, match="Add the scope"):
        read(source("shopify", server.config), "orders")


def test_an_error_inside_an_answer_is_an_error(server, shopify):
    del server.rows["pages"]
    with pytest.raises(ConfigError, match="refuses the query"):
        read(shopify, "pages")


@pytest.mark.parametrize(
    ("start", "asked"),
    [
        ("2025-01-01", "2025-01-01T00:00:00Z"),
        ("2025-01-01T06:00:00Z", "2025-01-01T06:00:00Z"),
        (None, "2006-01-01T00:00:00Z"),
    ],
)
def test_the_start_is_a_day_or_a_time_or_the_beginning(server, start, asked):
    config = {key: value for key, value in server.config.items() if key != "start_date"}
    source("shopify", {**config, **({"start_date": start} if start else {})}).check()
    assert server.requests[0].json()["variables"]["filter"] == f"updated_at:>='{asked}'"
