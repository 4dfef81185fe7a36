from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.discourse import DiscourseStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "discourse.txt"


@pytest.fixture
def server():
    with DiscourseStandIn(page=15) as server:
        yield server


@pytest.fixture
def discourse(server):
    actual_source = source("discourse", server.config)
    yield actual_source
    actual_source.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(server, discourse):
    assert len(server.posts) == 50
    assert counted(discourse) == {"posts": 50, "topics": 20, "categories": 3, "users": 63}


def test_the_requests_are_the_golden_ones():
    with DiscourseStandIn(topics=6, page=5) as server:
        assert_golden_requests(server, source("discourse", server.config), GOLDEN)


def test_a_second_read_brings_what_is_new_and_the_last_days_again(server, discourse):
    states = {name: read(discourse, name)[1] for name in ("posts", "topics")}
    server.add_post(4, "One more word.")
    server.edit(server.posts[-3], "Corrected.")
    seen = len(server.requests)
    posts, _ = read(discourse, "posts", states["posts"])
    assert {"One more word.", "Corrected."} <= {row["raw"] for row in posts}
    assert len(posts) == 9
    assert [row["id"] for row in read(discourse, "topics", states["topics"])[0]] == [4, 20]
    assert len(server.requests) - seen == 2


def test_a_read_without_lookback_brings_only_what_is_new(server):
    discourse = source("discourse", {**server.config, "lookback_window": 0})
    _, state = read(discourse, "posts")
    new = server.add_topic("Something new", "It broke.")
    assert [row["topic_id"] for row in read(discourse, "posts", state)[0]] == [new["id"], 20]


def test_a_pinned_topic_does_not_end_the_list(server, discourse):
    _, state = read(discourse, "topics")
    for number in range(3, 20):
        server.add_post(number, "Again.")
    assert {row["id"] for row in read(discourse, "topics", state)[0]} == set(range(3, 21))


def test_the_start_date_limits_what_is_read(server):
    rows, _ = read(source("discourse", {**server.config, "start_date": "2025-02-01T00:00:00Z"}), "posts")
    assert 0 < len(rows) < 50
    assert min(row["created_at"] for row in rows) >= "2025-02-01"


def test_private_posts_are_a_stream_where_they_are_wanted(server):
    assert "private_posts" not in {stream.name for stream in source("discourse", server.config).discover()}
    discourse = source("discourse", {**server.config, "private_posts": True})
    assert counted(discourse)["private_posts"] == 40
    rows, state = read(discourse, "private_posts")
    assert {row["action_code"] for row in rows if row["post_type"] == 3} == {"closed.enabled"}
    new = server.whisper("A word in private.")
    seen = len(server.requests)
    rows, _ = read(discourse, "private_posts", state)
    assert new["id"] in {row["id"] for row in rows}
    assert len(rows) < 12
    assert len(server.requests) - seen == 1
    assert not {row["id"] for row in rows} & {row["id"] for row in read(discourse, "posts")[0]}


def test_small_actions_and_whispers_are_a_stream_where_they_are_wanted(server):
    assert "staff_posts" not in {stream.name for stream in source("discourse", server.config).discover()}
    for n in range(45):
        server.act(3, f"Whisper {n}", 4)
    server.act(5, "Closed.", 3)
    discourse = source("discourse", {**server.config, "staff_posts": True})
    assert counted(discourse)["staff_posts"] == 46
    server.act(7, "Known to the vendor.", 4)
    del server.topics[1]
    assert "Known to the vendor." in {row["raw"] for row in read(discourse, "staff_posts")[0]}


def test_private_posts_that_the_forum_refuses_are_an_error_with_the_way_out(server):
    server._routes = [route for route in server._routes if "private" not in route[1].pattern]
    with pytest.raises(ConfigError, match="set private_posts to false"):
        read(source("discourse", {**server.config, "private_posts": True}), "private_posts")


def test_a_configuration_of_airbytes_works_as_it_is(server):
    config = {k: v for k, v in server.config.items() if k != "site_url"}
    config |= {"api_base_url": "https://forum.larkspur.example", "api_username": "system"}
    assert len(read(source("discourse", config), "posts")[0]) == 50


def test_limits_cost_time_but_no_record():
    faults = Faults(seed=5, rate_limit=0.2, retry_after_s=0)
    with DiscourseStandIn(page=5, faults=faults, limits=(Limit(8, 0.5),)) as server:
        assert len(read(source("discourse", server.config), "posts")[0]) == 50
        assert 429 in {call.status for call in server.requests}


def test_the_budget_keeps_the_forums_limit_without_a_429():
    with DiscourseStandIn(page=25, limits=(Limit(60, 60.0),)) as server:
        discourse = source("discourse", {k: v for k, v in server.config.items() if k != "calls_per_minute"})
        assert len(read(discourse, "posts")[0]) == 50
        assert {call.status for call in server.requests} == {200}


def test_a_wrong_key_is_an_auth_error_that_does_not_show_it(server):
    discourse = source("discourse", {**server.config, "api_key": "not-the-key"})
    with pytest.raises(AuthError, match="API username or key is invalid") as caught:
        discourse.check()
    assert "not-the-key" not in str(caught.value)


def test_users_without_an_administrators_key_are_an_error_with_the_way_out():
    with DiscourseStandIn(admin=False) as server:
        discourse = source("discourse", server.config)
        with pytest.raises(ConfigError, match=r"administrators only.*deselect the stream"):
            read(discourse, "users")


def test_an_address_without_a_forum_is_an_error(server):
    server._routes = []
    with pytest.raises(ConfigError, match="no Discourse at"):
        source("discourse", server.config).check()
