import re
import threading
import time
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.shopify import CLIENT, SECRET, TOKEN, ShopifyStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.stand_in import Faults, Quota

LAST_PRODUCT = iso(BEGIN + 130 * 3000)
NOW = r"(?<=updated_at:<=')2\d{3}-[^']*"
"""The end of a search: the moment when the sync began."""
GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "shopify.txt"


@pytest.fixture
def server():
    with ShopifyStandIn() as server:
        yield server


@pytest.fixture
def shopify(server):
    actual_source = source("shopify", server.config)
    yield actual_source
    actual_source.close()


@pytest.mark.slow
def test_every_stream_is_read_completely_and_fits_its_declared_fields(server, shopify):
    assert counted(shopify) == server.counts


@pytest.mark.slow
def test_the_requests_are_the_golden_ones(server, shopify):
    assert_golden_requests(server, shopify, GOLDEN, moving=NOW)


def test_every_declared_field_of_a_list_is_asked_for(server, shopify):
    for name in ("products", "collections", "pages", "articles", "customers", "orders", "product_variants", "comments"):
        seen = len(server.requests)
        read(shopify, name)
        words = {word for call in server.requests[seen:] for word in re.findall(r"\w+", call.json()["query"])}
        assert set(shopify.discover().get(name).schema["properties"]) <= words, name


def test_a_second_read_brings_only_what_changed(server, shopify):
    names = ("products", "orders", "articles")
    states = {name: read(shopify, name)[1] for name in names}
    changed = {name: server.touch(name, 4, note="Changed")["id"] for name in names}
    rows = {name: [row["id"] for row in read(shopify, name, state)[0]] for name, state in states.items()}
    assert {name: results[-1] for name, results in rows.items()} == changed
    assert max(map(len, rows.values())) == 2


@pytest.mark.slow
def test_a_product_that_changes_while_pages_are_read_hides_no_other():
    class Busy(ShopifyStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if self.requests:
                self.touch("products", len(self.requests))
            return answer

    with Busy() as server:
        rows, _ = read(source("shopify", server.config), "products")
        assert len({row["id"] for row in rows}) == 130


def test_an_exhausted_bucket_is_waited_for_and_costs_no_record():
    with ShopifyStandIn(limits=(Quota(2, 1.0),)) as server:
        assert len(read(source("shopify", server.config), "products")[0]) == 130
        assert len(server.requests) > 4


def test_faults_cost_time_but_no_record():
    with ShopifyStandIn(faults=Faults(seed=5, server_error=0.2, truncated=0.1)) as server:
        assert len(read(source("shopify", server.config), "orders")[0]) == 70


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"auth_method": "api_password", "api_password": "not-the-token"}
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("shopify", {**server.config, "credentials": credentials}).check()
    assert "not-the-token" not in str(caught.value)


# Credentials

CLIENT_CREDENTIALS = {"auth_method": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}


def with_credentials(server, **credentials):
    return source("shopify", {**server.config, "credentials": credentials})


def test_a_dev_dashboard_app_fetches_one_token_for_all_streams(server):
    shopify = with_credentials(server, **CLIENT_CREDENTIALS)
    assert {len(read(shopify, name)[0]) for name in ("pages", "collections", "metafield_pages")} == {5, 12, 139}
    assert len(server.tokens.of_grant("client_credentials")) == 1


def test_a_token_that_ends_while_pages_are_read_is_fetched_again(server):
    class Expiring(ShopifyStandIn):
        def answer(self, call):
            if len(self.requests) == 4:
                self.tokens.end_access()
            return super().answer(call)

    with Expiring() as server:
        assert len(read(with_credentials(server, **CLIENT_CREDENTIALS), "products")[0]) == 130
        assert len(server.tokens.of_grant("client_credentials")) == 2


def test_a_refused_token_without_a_refresh_token_is_an_auth_error(server):
    with pytest.raises(AuthError, match="access token is not accepted"):
        with_credentials(server, auth_method="oauth2.0", access_token="shpat_gone", client_id=CLIENT).check()


def test_a_wrong_client_secret_is_an_auth_error_that_does_not_show_it(server):
    with pytest.raises(AuthError) as caught:
        with_credentials(server, **{**CLIENT_CREDENTIALS, "client_secret": "shpss_wrong"}).check()
    assert "shpss_wrong" not in str(caught.value)


@pytest.mark.slow
def test_an_expiring_token_is_refreshed_once_for_all_streams_and_the_new_pair_is_kept(server):
    server.tokens.delay_s = 0.05
    pair, kept = server.tokens.granted(), []
    server.tokens.end_access()
    shopify = with_credentials(server, auth_method="oauth2.0", access_token=pair.access_token,
                               refresh_token=pair.refresh_token, client_id=CLIENT, client_secret=SECRET,
                               token_expiry_date="2099-01-01T00:00:00Z")  # fmt: skip
    shopify.on_config(kept.append)
    readers = [threading.Thread(target=read, args=(shopify, name)) for name in ("pages", "collections", "blogs")]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(server.tokens.refreshes) == 1 == server.tokens.most_at_once
    credentials = kept[-1]["credentials"]
    assert credentials["refresh_token"] != pair.refresh_token
    assert server.tokens.allows(credentials["access_token"])
    assert len(read(with_credentials(server, **credentials), "pages")[0]) == 5
    assert len(server.tokens.refreshes) == 1


@pytest.mark.parametrize("credentials", [
    {"api_password": TOKEN}, {"access_token": TOKEN}, {"auth_method": "api_password", "api_password": TOKEN},
    {"auth_method": "oauth2.0", "access_token": TOKEN, "client_id": "from", "client_secret": "Airbyte"},
])  # fmt: skip
def test_a_token_that_does_not_end_is_used_as_it_is(server, credentials):
    assert len(read(with_credentials(server, **credentials), "pages")[0]) == 5
    assert server.tokens.exchanges == []


# What lists inside lists hold


def test_variants_line_items_and_metafields_are_complete_beyond_the_first_nested_page(server, shopify):
    of_order = [row for row in read(shopify, "order_line_items")[0] if row["orderName"] == "#3"]
    assert len({row["id"] for row in of_order}) == 260 == len(of_order)
    assert {row["orderId"] for row in of_order} == {"gid://shopify/Order/3"}
    metafields = [row for row in read(shopify, "metafield_products")[0] if row["ownerId"] == "gid://shopify/Product/2"]
    assert len({row["id"] for row in metafields}) == 135
    variants, _ = read(shopify, "product_variants")
    assert (variants[4]["sku"], variants[4]["price"]) == ("LK-00005", "5.50")


def test_of_an_order_that_changed_all_line_items_come_again_and_no_other(server, shopify):
    _, state = read(shopify, "order_line_items")
    order = server.touch("orders", 2)
    rows, _ = read(shopify, "order_line_items", state)
    assert [row["orderId"] for row in rows].count(order["id"]) == 260
    assert len({row["orderId"] for row in rows}) == 2


def test_only_metafields_that_changed_are_records_of_a_second_read(server, shopify):
    _, state = read(shopify, "metafield_products")
    changed = server.rows["products"][1]["metafields"][100]
    changed.update(value="Hand wash.", updatedAt=iso(int(time.time()) - 60))
    rows, _ = read(shopify, "metafield_products", state)
    assert changed["id"] in {row["id"] for row in rows}
    assert len(rows) < 10


@pytest.mark.slow
def test_a_variant_that_changes_while_pages_are_read_comes_with_the_next_sync():
    class Busy(ShopifyStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if len(self.requests) == 3:
                # Behind this sync's beginning: a variant of a page that was read, and one of a page to come.
                for index in (3, 150):
                    self.rows["productVariants"][index].update(sku="NEW", updatedAt=iso(int(time.time()) + 1))
            return answer

    with Busy() as server:
        shopify = source("shopify", server.config)
        rows, state = read(shopify, "product_variants")
        assert len(rows) == 159
        time.sleep(1.2)
        second, _ = read(source("shopify", server.config), "product_variants", state)
        assert [row["sku"] for row in second].count("NEW") == 2
        assert len({row["id"] for row in (*rows, *second)}) == 160


@pytest.mark.parametrize("name", ["product_variants", "comments", "inventory_items"])
def test_what_is_read_by_id_never_begins_again_behind_its_latest_change(shopify, name):
    # 26,000 variants lost 6,000 of them when it did.
    retriever = shopify.component(name).retriever
    assert "id:>" in str(retriever.node.values["requester"])
    assert not retriever.node.get("pagination_reset")


def test_what_is_read_by_id_asks_for_no_place_deep_in_a_list(server, shopify):
    read(shopify, "product_variants")
    assert not any("after" in call.json()["variables"] for call in server.requests)


# Deletions


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        ("products", "products"), ("collections", "collections"), ("pages", "pages"), ("articles", "articles"),
        ("product_variants", "productVariants"), ("customers", "customers"), ("draft_orders", "draftOrders"),
    ],
)  # fmt: skip
def test_a_deleted_record_is_marked_with_the_time_of_its_event(server, shopify, stream, kind):
    _, state = read(shopify, stream)
    row = server.delete(kind, 2)
    server.events.append({**server.events[0], "id": "gid://shopify/BasicEvent/9", "action": "update"})
    rows, state = read(shopify, stream, state)
    deletions = [row for row in rows if row.get("_ab_cdc_deleted_at")]
    assert deletions == [{"id": row["id"], "updatedAt": iso(server.now), "_ab_cdc_deleted_at": iso(server.now)}]
    assert len(rows) <= 2
    assert read(shopify, stream, state)[0] == rows  # events may show late, so the last minutes are read again


def test_many_deletions_fill_several_pages(server, shopify):
    _, state = read(shopify, "product_variants")
    keys = {server.delete("productVariants", 0)["id"] for _ in range(70)}
    rows, _ = read(shopify, "product_variants", state)
    assert {row["id"] for row in rows if row.get("_ab_cdc_deleted_at")} == keys


def test_a_state_from_before_deletions_were_read_goes_on_where_it_was(server, shopify):
    server.delete("products", 7)
    row = server.touch("products", 100)
    rows, state = read(shopify, "products", {"updatedAt": LAST_PRODUCT})
    assert [row["id"] for row in rows if not row.get("_ab_cdc_deleted_at")] == ["gid://shopify/Product/130", row["id"]]
    assert sum(bool(row.get("_ab_cdc_deleted_at")) for row in rows) == 1
    assert len(state["states"]) == 2


def test_without_deletions_no_event_is_asked_for(server):
    read(source("shopify", {**server.config, "deletions": False}), "products")
    assert not any("events(" in call.json()["query"] for call in server.requests)


def test_events_that_the_app_may_not_see_are_an_error_that_names_the_way_out():
    with ShopifyStandIn(denied=("events",)) as server:
        with pytest.raises(ConfigError, match="set deletions to false"):
            read(source("shopify", server.config), "products")
        assert len(read(source("shopify", {**server.config, "deletions": False}), "products")[0]) == 130


@pytest.mark.slow
def test_a_query_that_costs_too_much_is_asked_in_smaller_pages():
    with ShopifyStandIn(most_cost=100) as server:
        shopify = source("shopify", server.config)
        assert len(read(shopify, "collections")[0]) == 12
        assert len(read(shopify, "metafield_collections")[0]) == server.counts["metafield_collections"]


def test_a_missing_scope_is_an_error_and_never_an_empty_sync():
    with ShopifyStandIn(denied=("orders",)) as server, pytest.raises(ConfigError, match="Add the scope"):
        read(source("shopify", server.config), "orders")


def test_an_error_inside_an_answer_is_an_error(server, shopify):
    del server.rows["pages"]
    with pytest.raises(ConfigError, match="refuses the query"):
        read(shopify, "pages")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2025-01-01", "2025-01-01T00:00:00Z"),
        ("2025-01-01T06:00:00Z", "2025-01-01T06:00:00Z"),
        (None, "2006-01-01T00:00:00Z"),
    ],
)
def test_the_start_is_a_day_or_a_time_or_the_beginning(server, start, expected):
    config = {key: value for key, value in server.config.items() if key != "start_date"}
    source("shopify", {**config, **({"start_date": start} if start else {})}).check()
    assert server.requests[0].json()["variables"]["filter"] == f"updated_at:>='{expected}'"


def test_a_type_of_metaobjects_that_appears_later_is_read_from_the_start(server, shopify):
    kept = server.metaobjects.pop("author")
    definition = server.rows["metaobjectDefinitions"].pop()
    _, state = read(shopify, "metaobjects")
    server.metaobjects["author"] = kept
    server.rows["metaobjectDefinitions"].append(definition)
    rows, _ = read(source("shopify", server.config), "metaobjects", state)
    assert sum(row["type"] == "author" for row in rows) == 30
    assert sum(row["type"] == "recipe" for row in rows) <= 1


def test_a_type_of_metaobjects_that_looks_like_a_number_is_a_type(server, shopify):
    server.metaobjects["1_000"] = server.metaobjects.pop("author")
    server.rows["metaobjectDefinitions"][1]["type"] = "1_000"
    assert len(read(shopify, "metaobjects")[0]) == 60
