"""A stand-in for a Discourse forum's API: topics and posts in a few categories.

By hand: `python -m stand_ins.discourse --port 8080` prints its address; the key is discourse-key. Facts:
docs.discourse.org and github.com/discourse/discourse (posts by descending number in pages of 50, topics by
activity, refusals), read 2026-11.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
KEY = "discourse-key"
DAY = 86_400


class DiscourseStandIn(PagedApi):
    """`server.config` opens it. A post bumps its topic and moves `now` on by a day."""

    name: ClassVar[str] = "discourse"

    def __init__(self, *, topics: int = 20, page: int = 50, admin: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.page, self.admin = page, admin
        self.now = BEGIN
        self.topics: dict[int, Json] = {}
        self.posts: list[Json] = []
        for problem in problems()[:topics]:
            topic = self.add_topic(problem.title, problem.symptom)
            for step in problem.steps[: topic["id"] % 4]:
                self.add_post(topic["id"], step)
        self.topics[2]["pinned"] = True
        self.staff: list[Json] = []
        # Private messages of several people, with a small action among them.
        self.private = [
            {**self.posts[0], "id": 3 * n + 1, "topic_id": 9000 + n % 4, "topic_title": f"Between us {n % 4}",
             "post_type": 3 if n % 9 == 5 else 1, "action_code": "closed.enabled" if n % 9 == 5 else None,
             "raw": f"In private {n}", "cooked": f"<p>In private {n}</p>",
             "created_at": iso(BEGIN + (n + 1) * DAY).replace("Z", ".000Z")}
            for n in range(40)
        ]  # fmt: skip

    @property
    def config(self) -> Json:
        return {"site_url": "https://forum.larkspur.example", "api_key": KEY, "calls_per_minute": 100_000,
                "base_url": self.url}  # fmt: skip

    def add_topic(self, title: str, text: str) -> Json:
        number = len(self.topics) + 1
        self.topics[number] = {"id": number, "title": title, "slug": f"topic-{number}", "category_id": number % 3,
                               "posts_count": 0, "pinned": False, "tags": []}  # fmt: skip
        self.add_post(number, text)
        self.topics[number]["created_at"] = self.topics[number]["bumped_at"]
        return self.topics[number]

    def add_post(self, topic: int, text: str) -> Json:
        self.now += DAY
        time = iso(self.now).replace("Z", ".000Z")
        # Numbers have gaps: private messages and deleted posts take some.
        post = {"id": 3 * (len(self.posts) + 1), "topic_id": topic, "topic_title": self.topics[topic]["title"],
                "post_type": 1,
                "post_number": self.topics[topic]["posts_count"] + 1, "username": "agent", "created_at": time,
                "updated_at": time, "raw": text, "cooked": f"<p>{text}</p>"}  # fmt: skip
        self.posts.append(post)
        self.topics[topic].update(bumped_at=time, last_posted_at=time, posts_count=post["post_number"])
        return post

    def act(self, topic: int, text: str, post_type: int) -> Json:
        """A small action (3), a moderator's post (2) or a whisper (4): it does not move its topic."""
        number = max(post["post_number"] for post in [*self.posts, *self.staff] if post["topic_id"] == topic) + 1
        post = {**self.posts[0], "id": 100_000 + len(self.staff), "topic_id": topic, "post_number": number,
                "post_type": post_type, "raw": text, "cooked": f"<p>{text}</p>"}  # fmt: skip
        self.staff.append(post)
        return post

    def whisper(self, text: str) -> Json:
        """One more private post."""
        self.now += DAY
        time = iso(self.now).replace("Z", ".000Z")
        self.private.append({**self.private[-1], "id": 3 * len(self.private) + 1, "raw": text, "created_at": time})
        return self.private[-1]

    def edit(self, post: Json, text: str) -> None:
        post.update(raw=text, cooked=f"<p>{text}</p>", updated_at=iso(self.now + 60).replace("Z", ".000Z"))

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("api-key") == KEY and call.headers.get("api-username"):
            return None
        message = "You are not permitted to view the requested resource. The API username or key is invalid."
        return Answer(403, {"errors": [message], "error_type": "invalid_access"})

    def refuse(self, status: int, message: str) -> Answer:
        kind = {404: "not_found", 429: "rate_limit"}.get(status, "invalid_parameters")
        return Answer(status, {"errors": [message], "error_type": kind, "extras": {"wait_seconds": 0}})

    @route("GET", "/posts.json")
    def latest_posts(self, call: Call) -> Any:
        before = int(call.param("before", "0")) or 10**9
        rows = [post for post in reversed(self.posts) if post["id"] < before]
        return {"latest_posts": rows[: self.page]}

    @route("GET", "/private-posts.json")
    def private_posts(self, call: Call) -> Any:
        before = int(call.param("before", "0")) or 10**9
        # An administrator sees everybody's, others see their own.
        rows = [post for post in reversed(self.private) if post["id"] < before and (self.admin or not post["id"] % 2)]
        return {"private_posts": rows[: self.page]}

    @route("GET", "/t/{topic}/posts.json")
    def topic_posts(self, call: Call, topic: str) -> Any:
        if int(topic) not in self.topics or call.param("asc") != "true":
            return self.refuse(404, "The requested URL or resource could not be found.")
        rows = [post for post in [*self.posts, *self.staff] if post["topic_id"] == int(topic)]
        rows = sorted((post for post in rows if post["post_number"] > int(call.param("post_number"))),
                      key=lambda post: post["post_number"])  # fmt: skip
        posts = [post if call.param("include_raw") else {**post, "raw": None} for post in rows[:20]]
        return {"post_stream": {"posts": posts}, "id": int(topic)}

    @route("GET", "/latest.json")
    def latest(self, call: Call) -> Any:
        if call.param("order") != "activity":
            return self.refuse(400, "order")
        rows = sorted(self.topics.values(), key=lambda topic: (topic["pinned"], topic["bumped_at"]), reverse=True)
        start = int(call.param("page", "0")) * self.page
        topics = [{**topic, "bumped": True} for topic in rows[start : start + self.page]]
        return {"users": [], "topic_list": {"per_page": self.page, "topics": topics}}

    @route("GET", "/site.json")
    def site(self, call: Call) -> Any:
        return {"categories": [{"id": n, "name": f"Category {n}", "slug": f"c{n}", "topic_count": 1} for n in range(3)]}

    @route("GET", "/admin/users/list/active.json")
    def users(self, call: Call) -> Any:
        if not self.admin:
            return self.refuse(404, "The requested URL or resource could not be found.")
        start = (int(call.param("page", "1")) - 1) * self.page
        rows = [{"id": n, "username": f"user{n}", "trust_level": 1, "active": True} for n in range(1, 64)]
        return Answer(200, rows[start : start + self.page])


if __name__ == "__main__":
    run(DiscourseStandIn)
