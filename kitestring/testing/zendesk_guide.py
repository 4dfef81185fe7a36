"""The help center and the community of the stand-in for Zendesk: each brand's own, by the host that a call is for.

One server plays the hosts of all brands: `X-Forwarded-Host` says which one was meant (a source with `base_url` sends
it); without it, it is the account's own. Facts: developer.zendesk.com/api-reference/help_center, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.help_desk.help_center import HelpCenter
from kitestring.testing.help_desk.objects import seconds_of
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.zendesk_paging import Json, Paging, integer

CLOSED = b"<!doctype html><html><head><title>Oops, this help center no longer exists</title></head></html>"


class Guide(Paging):
    """Answers for `/api/v2/help_center`, `/api/v2/community` and the pages that readers open."""

    desk: HelpDesk

    def help_center(self, call: Call) -> HelpCenter | None:
        """The help center of the brand whose host the call is for."""
        subdomain = call.headers.get("x-forwarded-host", "larkspur").partition(".")[0]
        return self.desk.help_centers.get(subdomain)

    @route("GET", "/api/v2/help_center/incremental/articles")
    def article_export(self, call: Call) -> Any:
        """From `start_time` on, in order of time. A page may end within a second: `next_page` begins that second again,
        and where one second fills a page it leads to the same page. Pages after it have numbers (`page`)."""
        return self._of(call, lambda center: self._exported(call, center))

    def _exported(self, call: Call, center: HelpCenter) -> Any:
        if "start_time" not in call.params:
            return Answer(400, {"error": "InvalidValue", "description": "start_time is missing"})
        start, page = int(float(call.param("start_time"))), int(call.param("page", "1"))
        rows = [row for row in center.articles.values() if seconds_of(row["updated_at"]) >= start]
        order = call.param("sort_order", "asc")
        rows.sort(key=lambda row: (row["updated_at"], row["id"]), reverse=order == "desc")
        size = self.export_page
        exported = rows[(page - 1) * size : page * size]
        end_time = max(seconds_of(row["updated_at"]) for row in exported) if exported else None
        following = self.link(call, {"start_time": str(end_time), "page": None})
        return {
            "articles": [self._sideloaded(call, center, row) for row in exported],
            "count": len(rows),
            "page": page,
            "page_count": -(-len(rows) // size),
            "per_page": size,
            "end_time": end_time,
            "next_page": following if len(rows) > page * size else None,
            "previous_page": None,
            "sort_by": "updated_at",
            "sort_order": order,
        }

    def _sideloaded(self, call: Call, center: HelpCenter, article: Json) -> Json:
        """Translations are inside the article that they belong to."""
        if "translations" not in call.param("include").split(","):
            return article
        return {**article, "translations": center.translations(article["id"])}

    @route("GET", "/api/v2/help_center/articles")
    def article_list(self, call: Call) -> Any:
        return self._of(
            call,
            lambda center: self.listed(
                call, "articles", [self._sideloaded(call, center, row) for row in center.articles.values()], 30
            ),
        )

    @route("GET", "/api/v2/help_center/articles/{number}/{collection}")
    def of_article(self, call: Call, number: str, collection: str) -> Any:
        def answer(center: HelpCenter) -> Any:
            article = center.articles.get(integer(number))
            if article is None:
                return self.refuse(404, "Not found")
            lists: dict[str, Callable[[], Iterable[Json]]] = {
                "translations": lambda: center.translations(article["id"]),
                "comments": lambda: center.comments(article["id"]),
                "votes": lambda: center.votes(article, "Article"),
            }
            if collection == "attachments":
                return self.listed(call, "article_attachments", center.attachments(article["id"]))
            return self.named_list(lists, call, collection, 30)

        return self._of(call, answer)

    @route("GET", "/api/v2/help_center/articles/{number}/comments/{comment}/votes")
    def votes_of_article_comment(self, call: Call, number: str, comment: str) -> Any:
        def answer(center: HelpCenter) -> Any:
            rows = center.comments(integer(number)) if integer(number) in center.articles else []
            return self._votes(call, center, rows, comment, "Comment")

        return self._of(call, answer)

    @route("GET", "/api/v2/community/posts/{number}/comments")
    def comments_of_post(self, call: Call, number: str) -> Any:
        def answer(center: HelpCenter) -> Any:
            if integer(number) not in {post["id"] for post in center.posts}:
                return self.refuse(404, "Not found")
            return self.listed(call, "comments", center.post_comments(integer(number)), 30)

        return self._of(call, answer)

    @route("GET", "/api/v2/community/posts/{number}/votes")
    def votes_of_post(self, call: Call, number: str) -> Any:
        return self._of(call, lambda center: self._votes(call, center, center.posts, number, "Post"))

    @route("GET", "/api/v2/community/posts/{number}/comments/{comment}/votes")
    def votes_of_post_comment(self, call: Call, number: str, comment: str) -> Any:
        def answer(center: HelpCenter) -> Any:
            comments = integer(number) in {post["id"] for post in center.posts}
            rows = center.post_comments(integer(number)) if comments else []
            return self._votes(call, center, rows, comment, "PostComment")

        return self._of(call, answer)

    def _votes(self, call: Call, center: HelpCenter, rows: Iterable[Json], number: str, kind: str) -> Any:
        item = next((row for row in rows if row["id"] == integer(number)), None)
        return self.refuse(404, "Not found") if item is None else self.listed(call, "votes", center.votes(item, kind))

    @route("GET", "/api/v2/community/{collection}")
    def community_list(self, call: Call, collection: str) -> Any:
        def answer(center: HelpCenter) -> Any:
            return self.named_list(
                {"topics": lambda: center.topics, "posts": lambda: center.posts}, call, collection, 30
            )

        return self._of(call, answer)

    @route("GET", "/api/v2/help_center/{collection}")
    def help_center_list(self, call: Call, collection: str) -> Any:
        def answer(center: HelpCenter) -> Any:
            lists: dict[str, Callable[[], Iterable[Json]]] = {
                "categories": lambda: center.categories,
                "sections": lambda: center.sections,
            }
            return self.named_list(lists, call, collection, 30)

        return self._of(call, answer)

    @route("GET", "/api/v2/help_center/{locale}/{collection}")
    def help_center_locale_list(self, call: Call, locale: str, collection: str) -> Any:
        return self.article_list(call) if collection == "articles" else self.help_center_list(call, collection)

    @route("GET", "/hc/en-us/articles/{slug}")
    def article_page(self, call: Call, slug: str) -> Any:
        number = integer(slug.partition("-")[0])
        article = next(
            (center.articles[number] for center in self.desk.help_centers.values() if number in center.articles), None
        )
        if article is None:
            return self.refuse(404, "Not found")
        page = f"<!doctype html><title>{article['title']}</title><h1>{article['title']}</h1>{article['body']}"
        return Answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})

    def _of(self, call: Call, answer: Callable[[HelpCenter], Any]) -> Any:
        center = self.help_center(call)
        if center is None:
            return Answer(404, CLOSED, {"Content-Type": "text/html; charset=utf-8"})
        if not center.brand["has_help_center"]:
            return self.refuse(404, "Not found")
        return answer(center)
