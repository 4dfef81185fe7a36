"""Zendesk's help centers: one for each brand, in several locales, with what readers add to the articles."""

import logging

import pytest
from reading import read

from kitestring.errors import ConfigError, ConnectorError
from kitestring.registry import source
from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.stand_in import Faults
from kitestring.testing.zendesk import ZendeskStandIn

pytestmark = pytest.mark.slow
LOCALES = ("en-us", "de", "fr")
BASIC = {"credentials": "api_token", "email": "agent@larkspur.example", "api_token": "larkspur-token"}


def two_brands():
    desk = HelpDesk(tickets=3, articles=20, locales=LOCALES)
    desk.add_brand("Foxglove", "foxglove", locales=LOCALES)
    return ZendeskStandIn(desk=desk)


@pytest.fixture
def zendesk():
    with two_brands() as server:
        yield server


@pytest.fixture(scope="module")
def shared():
    """A server and a source for tests that change nothing."""
    with two_brands() as server:
        yield server, source("zendesk_support", server.config)


@pytest.fixture
def support(zendesk):
    actual_source = source("zendesk_support", zendesk.config)
    yield actual_source
    actual_source.close()


def by_brand(rows):
    return {brand: {row["id"] for row in rows if row["brand_id"] == brand} for brand in {r["brand_id"] for r in rows}}


def test_the_help_center_of_every_brand_is_read_and_each_record_names_its_brand(shared):
    zendesk, support = shared
    main, second = zendesk.desk.help_centers.values()
    expected = {
        "articles": lambda center: center.articles,
        "sections": lambda center: [row["id"] for row in center.sections],
        "categories": lambda center: [row["id"] for row in center.categories],
        "topics": lambda center: [row["id"] for row in center.topics],
        "posts": lambda center: [row["id"] for row in center.posts],
    }
    for name, ids in expected.items():
        rows, _ = read(support, name)
        assert by_brand(rows) == {501: set(ids(main)), 502: set(ids(second))}, name
        assert len(rows) == len(ids(main)) + len(ids(second))


def test_what_belongs_to_articles_and_posts_is_read_for_every_brand(shared):
    zendesk, support = shared
    centers = zendesk.desk.help_centers.values()
    articles = [(center, article) for center in centers for article in center.articles.values()]
    posts = [(center, post) for center in centers for post in center.posts]
    comments = [(c, row) for c, article in articles for row in c.comments(article["id"])]
    answers = [(c, row) for c, post in posts for row in c.post_comments(post["id"])]
    truth = {
        "article_translations": [row for c, a in articles for row in c.translations(a["id"])],
        "article_comments": [row for _, row in comments],
        "article_attachments": [row for c, a in articles for row in c.attachments(a["id"])],
        "article_votes": [row for c, a in articles for row in c.votes(a, "Article")],
        "article_comment_votes": [row for c, comment in comments for row in c.votes(comment, "Comment")],
        "post_comments": [row for _, row in answers],
        "post_votes": [row for c, post in posts for row in c.votes(post, "Post")],
        "post_comment_votes": [row for c, answer in answers for row in c.votes(answer, "PostComment")],
    }
    for name, rows in truth.items():
        results, _ = read(support, name)
        assert sorted(row["id"] for row in results) == sorted(row["id"] for row in rows), name
        assert {row["brand_id"] for row in results} == {501, 502}, name
    assert {row["article_id"] for row in read(support, "article_comments")[0]} <= {a["id"] for _, a in articles}


def test_a_state_from_before_there_were_brands_goes_on_and_other_brands_are_read_whole(shared):
    zendesk, support = shared
    articles = zendesk.desk.articles.values()
    since = sorted(article["updated_at"] for article in articles)[-10]
    rows, state = read(support, "articles", {"updated_at": since})
    own = {article["id"] for article in articles if article["updated_at"] >= since}
    assert by_brand(rows) == {501: own, 502: set(zendesk.desk.help_centers["foxglove"].articles)}
    second, _ = read(support, "articles", state)
    assert len(second) == 2, "the last article of each brand"


def test_a_brand_that_is_added_later_is_read_whole_and_nothing_else_again(zendesk, support):
    states = {}
    for name in ("articles", "article_translations"):
        _, states[name] = read(support, name)
    center = zendesk.add_brand("Tansy", "tansy", articles=9, locales=LOCALES)
    rows, _ = read(support, "articles", states["articles"])
    assert by_brand(rows)[503] == set(center.articles)
    assert len(rows) == len(center.articles) + 2
    rows, _ = read(support, "article_translations", states["article_translations"])
    assert len([row for row in rows if row["brand_id"] == 503]) == 3 * len(center.articles)
    assert len(rows) < 3 * len(center.articles) + 10


def test_a_help_center_that_is_switched_on_later_is_read_whole(zendesk, support):
    center = zendesk.desk.help_centers["foxglove"]
    closed = {**center.brand, "has_help_center": False}
    open_brand, center.brand = center.brand, closed
    rows, state = read(support, "articles")
    assert {row["brand_id"] for row in rows} == {501}, "the brand says that it has one, its host that it has none"
    center.brand = open_brand
    rows, _ = read(support, "articles", state)
    assert by_brand(rows)[502] == set(center.articles)


def test_an_account_with_one_brand_costs_one_more_call():
    with ZendeskStandIn(tickets=3) as zendesk:
        support = source("zendesk_support", zendesk.config)
        read(support, "articles")
        assert [call.path for call in zendesk.calls("/api/")] == [
            "/api/v2/brands.json",
            "/api/v2/help_center/incremental/articles.json",
        ]


def test_brands_without_a_help_center_are_not_asked(zendesk, support):
    zendesk.add_brand("Silent", "silent", has_help_center=False)
    zendesk.add_brand("Gone", "gone", is_deleted=True)
    zendesk.add_brand("Asleep", "asleep", active=False)
    rows, _ = read(support, "sections")
    assert {row["brand_id"] for row in rows} == {501, 502}
    hosts = {call.headers.get("x-forwarded-host") for call in zendesk.calls("/sections")}
    assert hosts == {None, "foxglove.zendesk.com"}


@pytest.mark.parametrize(
    "subdomain", ["evil.example/", "evil.example#", "a.b", "user@evil.example", "", "evil.example\\", None]
)
def test_credentials_go_to_no_host_outside_of_zendesk(shared, subdomain, monkeypatch):
    zendesk, support = shared
    evil = {**zendesk.desk.brands[1], "id": 666, "subdomain": subdomain}
    monkeypatch.setattr(zendesk.desk, "brands", [*zendesk.desk.brands, evil])
    seen = len(zendesk.requests)
    with pytest.raises(ConfigError, match="no name of a host below"):
        read(support, "articles")
    assert {call.path for call in zendesk.requests[seen:]} == {"/api/v2/brands.json"}


@pytest.mark.parametrize("subdomain", ["evil/x", "user@evil.example", "evil?.zendesk.com", "evil#", "", "http://acme"])
def test_a_configured_subdomain_that_leads_to_another_host_is_refused(subdomain):
    with pytest.raises(ConfigError, match="subdomain"):
        source("zendesk_support", {"subdomain": subdomain, "credentials": BASIC})


@pytest.mark.parametrize("subdomain", ["acme", "acme-2.zendesk.com", "https://acme.zendesk.com/agent/home", "acme/"])
def test_a_subdomain_may_be_written_as_before(subdomain):
    source("zendesk_support", {"subdomain": subdomain, "credentials": BASIC}).close()


def test_credentials_that_may_not_list_brands_read_their_own_help_center(caplog):
    caplog.set_level(logging.WARNING)
    with ZendeskStandIn(tickets=3, forbidden=["/brands"]) as zendesk:
        zendesk.add_brand("Foxglove", "foxglove")
        support = source("zendesk_support", zendesk.config)
        rows, _ = read(support, "articles")
        assert {row["id"] for row in rows} == set(zendesk.desk.articles)
    assert "only the help center of larkspur is read" in caplog.text


def test_a_brand_whose_host_is_gone_does_not_keep_the_others_from_being_read(zendesk, support):
    del zendesk.desk.help_centers["foxglove"]
    states = {}
    stream = support.discover().get("sections")
    rows = []
    for partition in support.partitions([stream], states):
        for item in support.read(partition, states):
            rows.append(item)
    (doubt,) = [item.reason for item in rows if hasattr(item, "reason")]
    assert "foxglove" in doubt
    assert "no help center at the host of this brand" in doubt


@pytest.mark.parametrize(
    "faults",
    [
        {"rate_limit": 0.15, "retry_after_s": 0},
        {"server_error": 0.1, "drop": 0.1},
        {"truncated": 0.05, "not_json": 0.05},
    ],
)
def test_faults_lose_nothing_of_either_brand(faults):
    desk = HelpDesk(tickets=3, articles=60, locales=LOCALES)
    desk.add_brand("Foxglove", "foxglove", locales=LOCALES)
    with ZendeskStandIn(desk=desk, export_page=10, faults=Faults(seed=11, **faults)) as zendesk:
        support = source("zendesk_support", {**zendesk.config, "credentials": BASIC})
        centers = desk.help_centers.values()
        rows, _ = read(support, "articles")
        assert {row["id"] for row in rows} == {number for center in centers for number in center.articles}
        rows, _ = read(support, "article_translations")
        assert len({row["id"] for row in rows}) == 3 * sum(len(center.articles) for center in centers)


def test_every_locale_of_an_article_is_a_record_of_its_own(shared):
    zendesk, support = shared
    rows, _ = read(support, "article_translations")
    article = next(iter(zendesk.desk.articles.values()))
    texts = {row["locale"]: row for row in rows if row["article_id"] == article["id"]}
    assert set(texts) == set(LOCALES)
    assert texts["de"]["body"].startswith("<p>Diese Seite gibt es auch auf Deutsch.</p>")
    assert texts["fr"]["section_id"] == article["section_id"]
    assert texts["fr"]["label_names"] == article["label_names"]
    assert texts["en-us"]["title"] == article["title"]


def test_a_translation_arrives_although_the_time_of_its_article_stands_still(zendesk, support):
    _, state = read(support, "article_translations")
    number = next(iter(zendesk.desk.articles))
    before = zendesk.desk.articles[number]["updated_at"]
    zendesk.desk.translate(number, "fr", "Un titre", "<p>Tout est nouveau.</p>")
    assert zendesk.desk.articles[number]["updated_at"] == before
    rows, _ = read(support, "article_translations", state)
    assert [row["title"] for row in rows if row["updated_at"] > "2025-10-31"] == ["Un titre"]
    assert len(rows) <= 3, "and the last one of each brand"


class Unsideloaded(ZendeskStandIn):
    """Leaves the translations out, as an endpoint does that does not know `include`."""

    def _sideloaded(self, call, center, article):
        return article


def test_articles_without_the_translations_that_were_asked_for_are_an_error():
    with (
        Unsideloaded(tickets=3) as zendesk,
        pytest.raises(ConnectorError, match="without the translations"),
    ):
        read(source("zendesk_support", zendesk.config), "article_translations")


@pytest.mark.parametrize(("count", "page"), [(1150, 1000), (70, 30)])
def test_an_import_within_one_second_is_read_to_its_end(count, page):
    with ZendeskStandIn(tickets=3, export_page=page) as zendesk:
        zendesk.import_articles(count)
        zendesk.desk._tick()
        zendesk.import_articles(3)
        support = source("zendesk_support", zendesk.config)
        rows, state = read(support, "articles")
        assert {row["id"] for row in rows} == set(zendesk.desk.articles)
        assert state["states"][0]["cursor"]["updated_at"] == str(zendesk.desk.now)


class Edited(ZendeskStandIn):
    """Somebody edits an article of the first page while the second is asked for."""

    edited = 0

    def _exported(self, call, center):
        if call.param("page") == "2" and not self.edited:
            rows = sorted(center.articles.values(), key=lambda row: (row["updated_at"], row["id"]))
            self.edited = rows[-1]["id"] if call.param("sort_order") == "desc" else rows[60]["id"]
            self.desk.shrink_article(self.edited)
        return super()._exported(call, center)


def test_an_edit_while_an_import_is_read_by_page_numbers_loses_no_other_article():
    with Edited(tickets=3, export_page=30) as zendesk:
        zendesk.import_articles(100)
        support = source("zendesk_support", zendesk.config)
        rows, state = read(support, "articles")
        assert {row["id"] for row in rows} == set(zendesk.desk.articles)
        second, _ = read(support, "articles", state)
        assert zendesk.edited in {row["id"] for row in second}


class Thirty(ZendeskStandIn):
    """Numbered pages have thirty articles, as Zendesk's other numbered pages do, and no `page_count`."""

    def _exported(self, call, center):
        self.export_page = 30 if "page" in call.params else 1000
        answer = super()._exported(call, center)
        return {k: v for k, v in answer.items() if k not in ("page", "page_count", "per_page")}


def test_numbered_pages_may_be_smaller_than_those_of_the_export():
    with Thirty(tickets=3) as zendesk:
        zendesk.import_articles(1010)
        rows, _ = read(source("zendesk_support", zendesk.config), "articles")
        assert {row["id"] for row in rows} == set(zendesk.desk.articles)


class Unnumbered(ZendeskStandIn):
    """An export that knows no page numbers: the same page comes again and again."""

    def _exported(self, call, center):
        call.params.pop("page", None)
        answer = super()._exported(call, center)
        return {k: v for k, v in answer.items() if k not in ("page", "page_count", "per_page")}


def test_an_import_that_cannot_be_read_to_its_end_never_ends_green():
    with Unnumbered(tickets=3) as zendesk:
        zendesk.import_articles(1100)
        with pytest.raises(ConnectorError, match="the same page repeats"):
            read(source("zendesk_support", zendesk.config), "articles")


@pytest.mark.parametrize("mark", ["end_time", "next_page"])
def test_an_export_of_articles_without_its_marks_never_ends_green(mark):
    with Unnumbered(tickets=3) as zendesk:
        zendesk.import_articles(1100)
        zendesk.desk.shrink_article(next(iter(zendesk.desk.articles)))
        zendesk.leaves_out = {"/incremental/articles": mark}
        with pytest.raises(ConnectorError, match="so that nobody can tell"):
            read(source("zendesk_support", zendesk.config), "articles")


def test_brands_are_the_same_in_capitals():
    with ZendeskStandIn(tickets=3) as zendesk:
        zendesk.desk.brands[0]["subdomain"] = "Larkspur"
        support = source("zendesk_support", {**zendesk.config, "subdomain": "LARKSPUR.zendesk.com"})
        rows, state = read(support, "articles")
        assert len(rows) == len(zendesk.desk.articles)
        assert [entry["partition"] for entry in state["states"]] == [{"subdomain": "larkspur"}]


def test_an_export_without_page_numbers_ends_as_before():
    with Unnumbered(tickets=3, export_page=25) as zendesk:
        rows, _ = read(source("zendesk_support", zendesk.config), "articles")
        assert {row["id"] for row in rows} == set(zendesk.desk.articles)
