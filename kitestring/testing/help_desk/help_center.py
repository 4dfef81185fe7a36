"""A brand's help center in the sample help desk: articles in several locales, what readers add, the community."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from kitestring.testing.help_desk.objects import BEGIN, Json, Objects, iso, seconds_of
from kitestring.testing.help_desk.texts import ANSWERS, Problem

LOCALES = ("en-us", "de", "fr", "ja", "es", "pt-br")
"""Locales that a help center may have; the first is the one that articles are written in."""
OPENINGS = {
    "de": "Diese Seite gibt es auch auf Deutsch.",
    "fr": "Cette page existe aussi en français.",
    "ja": "このページは日本語でもお読みいただけます。",
    "es": "Esta página también existe en español.",
    "pt-br": "Esta página também existe em português.",
}
ARTICLE_IDS = 1_000_000
"""The distance between the article ids of two brands."""


class HelpCenter:
    """The help center of one brand. `articles`, `sections` and `categories` may be changed; the rest follows from them.

    The translation in the source locale is the article itself; those in other locales are made from it once, and stay
    as they are when it is edited (`translate` changes them).
    """

    def __init__(self, desk: Objects, brand: Json, articles: int, locales: Sequence[str] = LOCALES[:1]) -> None:
        self.brand, self.locales = brand, tuple(locales)
        self._desk = desk
        self._place = desk.brands.index(brand)
        self.address = f"https://{brand['subdomain']}.zendesk.example/hc/en-us"
        self.categories, self.sections = desk.chapters(self.address, 100_000 * self._place)
        problems = desk.problems
        self.articles: dict[int, Json] = {}
        for i in range(articles):
            article = self._article(i, problems[i % len(problems)])
            self.articles[article["id"]] = article
        self._translations: dict[int, dict[str, Json]] = {}
        self._comments: dict[int, list[Json]] = {}
        self.topics = [
            self._item("community/topics", 2500 + i, name=name, description="", position=i, follower_count=0,
                       html_url=f"{self.address}/community/topics/{2500 + i}", manageable_by="staff",
                       user_segment_id=None)
            for i, name in enumerate(("Questions", "Ideas"))
        ]  # fmt: skip
        self.posts = [self._post(i, problem) for i, problem in enumerate(problems[3::10] if articles else ())]

    # Changes

    def import_articles(self, count: int, when: int) -> list[Json]:
        """Articles that a program makes within one second."""
        articles = []
        for _ in range(count):
            i = len(self.articles)
            article = self._article(i, self._desk.problems[i % len(self._desk.problems)])
            article.update(created_at=iso(when), updated_at=iso(when), edited_at=iso(when))
            self.articles[article["id"]] = article
            articles.append(article)
        return articles

    def translate(self, article_id: int, locale: str, title: str, body: str, when: int) -> Json:
        """Write a translation in another locale than the source. The article's own `updated_at` stays."""
        translation = self._of_locale(self.articles[article_id], locale)
        translation.update(title=title, body=body, updated_at=iso(when))
        self._translations.setdefault(article_id, {})[locale] = translation
        return translation

    def comment(self, article_id: int, body: str, when: int) -> Json:
        """Add a reader's comment to an article."""
        comments = self.comments(article_id)
        comment = self._comment(self.articles[article_id], len(comments), body, when)
        comments.append(comment)
        return comment

    # What belongs to articles

    def translations(self, article_id: int) -> list[Json]:
        """The article in each of its locales, the source first."""
        article = self.articles[article_id]
        translations = self._translations.setdefault(article_id, {})
        for locale in self.locales[1:]:
            translations.setdefault(locale, self._of_locale(article, locale))
        source = self._translation(article, article["locale"], article["title"], article["body"], article["updated_at"])
        return [source, *translations.values()]

    def _of_locale(self, article: Json, locale: str) -> Json:
        title = f"{article['title']} ({locale})"
        body = f"<p>{OPENINGS.get(locale, locale)}</p>{article['body']}"
        return self._translation(article, locale, title, body, article["created_at"])

    def _translation(self, article: Json, locale: str, title: str, body: str, updated_at: str) -> Json:
        number = article["id"] * 10 + LOCALES.index(locale)
        place = article["html_url"].replace("/en-us/", f"/{locale}/")
        return {
            "id": number,
            "url": f"{self._api}/help_center/articles/{article['id']}/translations/{locale}.json",
            "html_url": place,
            "source_id": article["id"],
            "source_type": "Article",
            "locale": locale,
            "title": title,
            "body": body,
            "outdated": False,
            "draft": article["draft"],
            "hidden": False,
            "created_at": article["created_at"],
            "updated_at": updated_at,
            "created_by_id": article["author_id"],
            "updated_by_id": article["author_id"],
        }

    def comments(self, article_id: int) -> list[Json]:
        """The comments on an article, oldest first."""
        article = self.articles[article_id]
        if article_id not in self._comments:
            rng = random.Random(f"{self._desk.seed}:article-comments:{article_id}")
            count = rng.choice((0, 0, 0, 0, 1, 2))
            created = seconds_of(article["created_at"])
            self._comments[article_id] = [
                self._comment(article, n, rng.choice(ANSWERS).format_map(_Blank()), created + 3600 * (n + 1))
                for n in range(count)
            ]
        return self._comments[article_id]

    def _comment(self, article: Json, n: int, body: str, when: int) -> Json:
        number = article["id"] * 100 + n
        return self._item(
            "help_center/comments", number, when, html_url=f"{article['html_url']}/comments/{number}",
            body=f"<p>{body}</p>", author_id=self._reader(number), source_id=article["id"], source_type="Article",
            locale="en-us", vote_sum=number % 3, vote_count=number % 3, non_author_editor_id=None,
            non_author_updated_at=None,
        )  # fmt: skip

    def attachments(self, article_id: int) -> list[Json]:
        """The files of an article: every sixth has one."""
        if article_id % 6:
            return []
        number, article = article_id * 10, self.articles[article_id]
        return [
            self._item("help_center/articles/attachments", number, seconds_of(article["created_at"]),
                       article_id=article_id, file_name=f"steps-{article_id}.pdf", content_type="application/pdf",
                       content_url=f"{self.address}/article_attachments/{number}", size=48_213, inline=False,
                       locale=None, guide_media_id=None)
        ]  # fmt: skip

    def votes(self, item: Json, kind: str) -> list[Json]:
        """As many votes as the item says it has."""
        return [
            self._item("help_center/votes", item["id"] * 100 + n, seconds_of(item["created_at"]) + 60 * n,
                       user_id=self._reader(n), value=1, item_id=item["id"], item_type=kind)
            for n in range(item["vote_count"])
        ]  # fmt: skip

    # The community

    def post_comments(self, post_id: int) -> list[Json]:
        """The answers to a post, oldest first."""
        post = next(post for post in self.posts if post["id"] == post_id)
        rng = random.Random(f"{self._desk.seed}:post-comments:{post_id}")
        return [
            self._item("community/comments", post_id * 100 + n, seconds_of(post["created_at"]) + 7200 * (n + 1),
                       html_url=f"{post['html_url']}/comments/{post_id * 100 + n}", post_id=post_id, official=n == 1,
                       body=f"<p>{rng.choice(ANSWERS).format_map(_Blank())}</p>", author_id=self._reader(n),
                       vote_sum=n, vote_count=n, non_author_editor_id=None, non_author_updated_at=None)
            for n in range(post["comment_count"])
        ]  # fmt: skip

    def _post(self, i: int, problem: Problem) -> Json:
        number = 2600 + i
        details = f"<p>{problem.symptom}</p>".format_map(_Blank())
        return self._item(
            "community/posts", number, BEGIN + 86400 * i, title=problem.title, details=details,
            author_id=self._reader(i),
            topic_id=self.topics[i % 2]["id"], status="none", closed=False, featured=False,
            pinned=i == 0, vote_sum=i % 4, vote_count=i % 4, comment_count=i % 3, follower_count=0, content_tag_ids=[],
            html_url=f"{self.address}/community/posts/{number}", non_author_editor_id=None,
            non_author_updated_at=None,
        )  # fmt: skip

    # Making

    @property
    def _api(self) -> str:
        return f"https://{self.brand['subdomain']}.zendesk.example/api/v2"

    def _item(self, kind: str, number: int, created: int = BEGIN, **fields: Any) -> Json:
        if kind.startswith("community") and self._place and number < ARTICLE_IDS:
            number += 100_000 * self._place
        stamps = {"created_at": iso(created), "updated_at": iso(created)}
        return {"id": number, "url": f"{self._api}/{kind}/{number}.json", **stamps, **fields}

    def _reader(self, n: int) -> int:
        readers = [user["id"] for user in self._desk.users if user["role"] == "end-user"]
        return int(readers[n % len(readers)])

    def _article(self, i: int, problem: Problem) -> Json:
        article = self._desk.article(i, problem, self.sections, self.address, ARTICLE_IDS * self._place)
        name = self.brand["name"]
        if self._place:
            article["url"] = f"{self._api}/help_center/en-us/articles/{article['id']}.json"
            article.update({k: article[k].replace("Larkspur", name) for k in ("title", "name", "body")})
        return article


class _Blank(dict[str, Any]):
    """Fills the blanks of a sentence with words that say nothing."""

    def __missing__(self, key: str) -> str:
        return {"n": "several", "who": "a colleague"}.get(key, f"some {key}")
