"""A stand-in for Slack's Web API: a workspace with a few channels, messages and threads.

Facts: docs.slack.dev/reference/methods (errors in the body of a 200, cursors, order and bounds of messages), read
2026-11.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, StandIn, route

Json = dict[str, Any]
TOKEN = "xoxb-larkspur"  # noqa: S105 - opens nothing but this server
DAY = 86_400


class SlackStandIn(StandIn):
    """`server.config` opens it. The app is a member of all channels but `elsewhere`; `scopes` takes rights away."""

    name: ClassVar[str] = "slack"

    def __init__(self, *, messages: int = 40, page: int = 15, lacks: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(**more)
        self.page, self.lacks = page, lacks
        self.now = BEGIN
        self.channels: list[Json] = [
            {"id": f"C{n}", "name": name, "is_private": name == "secret", "is_member": name != "elsewhere",
             "is_channel": True, "is_archived": False, "created": BEGIN, "topic": {"value": ""}}
            for n, name in enumerate(("general", "support", "secret", "elsewhere"))
        ]  # fmt: skip
        self.messages: dict[str, list[Json]] = {channel["id"]: [] for channel in self.channels}
        self.replies: dict[str, list[Json]] = {}
        texts = problems()
        for n in range(messages):
            problem = texts[n % len(texts)]
            message = self.post(f"C{n % 3}", problem.symptom)
            for step in problem.steps[: n % 3]:
                self.reply(message, step)

    @property
    def config(self) -> Json:
        credentials = {"option_title": "API Token Credentials", "api_token": TOKEN}
        return {"credentials": credentials, "history_calls_per_minute": 100_000, "include_private_channels": True,
                "base_url": self.url}  # fmt: skip

    def post(self, channel: str, text: str) -> Json:
        self.now += DAY
        message = {"type": "message", "user": "U1", "text": text, "ts": f"{self.now}.000200"}
        self.messages[channel].append(message)
        return message

    def reply(self, message: Json, text: str) -> Json:
        self.now += 60
        reply = {"type": "message", "user": "U2", "text": text, "ts": f"{self.now}.000300", "thread_ts": message["ts"]}
        thread = self.replies.setdefault(message["ts"], [])
        thread.append(reply)
        message.update(thread_ts=message["ts"], reply_count=len(thread), latest_reply=reply["ts"])
        return reply

    def delete(self, message: Json) -> None:
        """A message with replies leaves a tombstone."""
        message.update(subtype="tombstone", text="This message was deleted.", user="USLACKBOT")

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(200, "invalid_auth")
        for scope in self.lacks:
            if call.path.startswith("/api/" + scope.partition(":")[0]):
                return Answer(200, {"ok": False, "error": "missing_scope", "needed": scope, "provided": ""})
        return None

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"ok": False, "error": "ratelimited" if status == 429 else message})

    @route("GET", "/api/conversations.list")
    def conversations(self, call: Call) -> Any:
        private = "private_channel" in call.param("types").split(",")
        return self._listed(call, "channels", [c for c in self.channels if private or not c["is_private"]])

    @route("GET", "/api/conversations.history")
    def history(self, call: Call) -> Any:
        channel = next((c for c in self.channels if c["id"] == call.param("channel")), None)
        if channel is None:
            return self.refuse(200, "channel_not_found")
        if not channel["is_member"]:
            return self.refuse(200, "not_in_channel")
        rows = [m for m in reversed(self.messages[channel["id"]]) if self._since(call, m)]
        return self._listed(call, "messages", rows)

    @route("GET", "/api/conversations.replies")
    def thread(self, call: Call) -> Any:
        message = next((m for m in self.messages[call.param("channel")] if m["ts"] == call.param("ts")), None)
        if message is None:
            return self.refuse(200, "thread_not_found")
        return self._listed(
            call, "messages", [message, *(r for r in self.replies.get(message["ts"], ()) if self._since(call, r))]
        )

    @route("GET", "/api/users.list")
    def users(self, call: Call) -> Any:
        rows = [{"id": f"U{n}", "name": f"user{n}", "real_name": f"User {n}", "deleted": False} for n in range(40)]
        return self._listed(call, "members", rows)

    def _since(self, call: Call, message: Json) -> bool:
        oldest, ts = float(call.param("oldest", "0")), float(message["ts"])
        return ts > oldest or (ts == oldest and call.param("inclusive") == "true")

    def _listed(self, call: Call, key: str, rows: list[Json]) -> Json:
        start = int(call.param("cursor", "next:0").partition(":")[2])
        end = start + min(self.page, int(call.param("limit", "100")))
        more = end < len(rows)
        following = f"next:{end}" if more else ""
        return {"ok": True, key: rows[start:end], "has_more": more, "response_metadata": {"next_cursor": following}}
