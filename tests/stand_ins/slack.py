"""A stand-in for Slack's Web API: a workspace with a few channels, messages, threads, members and user groups.

Facts: docs.slack.dev/reference/methods (errors in the body of a 200, cursors, order and bounds of messages, joining),
docs.slack.dev/authentication/using-token-rotation (12 hours, a refresh token that works once, form), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs

from kitestring.testing.help_desk.objects import BEGIN
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run_rotating
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
TOKEN = "xoxb-larkspur"
DAY = 86_400


METHODS = {
    "users:read": ("users.list",),
    "channels:read": ("conversations.list", "conversations.members"),
    "channels:history": ("conversations.history", "conversations.replies"),
    "channels:join": ("conversations.join",),
    "usergroups:read": ("usergroups.list",),
}
"""The methods that a scope opens."""


class SlackStandIn(PagedApi):
    """`server.config` opens it. The app is a member of all channels but `elsewhere`; `lacks` takes scopes away.

    With `rotating` tokens end after `lifetime_s` (Slack: 12 hours), and `rotating_config` opens it. With `team` the
    token is one of an organisation: lists want `team_id`.
    """

    name: ClassVar[str] = "slack"
    token_path: ClassVar[str] = "/api/oauth.v2.access"

    def __init__(
        self,
        *,
        messages: int = 40,
        page: int = 15,
        rotating: bool = False,
        lifetime_s: float = 43_200.0,
        team: str = "",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.page, self.rotating, self.team = page, rotating, team
        self.tokens = TokenEndpoint(
            {"larkspur": "secret"}, lifetime_s, sent_as=("form",), extra={"ok": True, "token_type": "bot"}
        )
        self.groups: list[Json] = [{"id": "S1", "handle": "on-call", "name": "On call"}]
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

    @property
    def rotating_config(self) -> Json:
        pair = self.tokens.granted()
        credentials = {
            "option_title": "Default OAuth2.0 authorization",
            "client_id": "larkspur",
            "client_secret": "secret",
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
        }
        return {**self.config, "credentials": credentials}

    def post(self, channel: str, text: str, **fields: Any) -> Json:
        """`more` are fields of the message: `blocks`, `attachments`, `bot_id`."""
        self.now += DAY
        message = {"type": "message", "user": "U1", "text": text, "ts": f"{self.now}.000200", **fields}
        self.messages[channel].append(message)
        return message

    def add_channel(self, name: str, **fields: Any) -> str:
        """A channel that appears now; `more` are its fields."""
        number = f"C{len(self.channels)}"
        self.channels.append(
            {"id": number, "name": name, "is_private": False, "is_member": True, "is_channel": True,
             "is_archived": False, "created": self.now, "topic": {"value": ""}, **fields}
        )  # fmt: skip
        self.messages[number] = []
        return number

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
        if call.path == self.token_path:
            return None
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if self.rotating and not self.tokens.allows(token):
            return self.refuse(200, "token_expired")
        if not self.rotating and token != TOKEN:
            return self.refuse(200, "invalid_auth")
        method = call.path.removeprefix("/api/")
        for scope in self.lacks:
            if method in METHODS[scope]:
                return Answer(200, {"ok": False, "error": "missing_scope", "needed": scope, "provided": ""})
        if self.team and method.endswith(".list") and call.param("team_id") != self.team:
            return self.refuse(200, "missing_argument")
        return None

    def grant(self, call: Call) -> Answer:
        """Slack tells a refusal in the body of a 200."""
        answer = self.tokens.answer(call)
        return answer if answer.status == 200 else self.refuse(200, "invalid_refresh_token")

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"ok": False, "error": "ratelimited" if status == 429 else message})

    @route("GET", "/api/conversations.list")
    def conversations(self, call: Call) -> Any:
        private = "private_channel" in call.param("types").split(",")
        return self._listed(call, "channels", [c for c in self.channels if private or not c["is_private"]])

    @route("GET", "/api/conversations.history")
    def history(self, call: Call) -> Any:
        channel = self._channel(call.param("channel"))
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
        rows = [{"id": f"U{n}", "name": f"user{n}", "real_name": f"User {n}", "deleted": False,
                 "profile": {"display_name": "ada" if n == 3 else ""}} for n in range(40)]  # fmt: skip
        return self._listed(call, "members", rows)

    @route("GET", "/api/usergroups.list")
    def user_groups(self, call: Call) -> Any:
        return {"ok": True, "usergroups": self.groups}

    @route("GET", "/api/conversations.members")
    def members(self, call: Call) -> Any:
        channel = self._channel(call.param("channel"))
        if channel is None:
            return self.refuse(200, "channel_not_found")
        return self._listed(call, "members", [f"U{n}" for n in range(20) if n % 2 == int(channel["id"][1:]) % 2])

    @route("POST", "/api/conversations.join")
    def join(self, call: Call) -> Any:
        channel = self._channel(parse_qs(call.body.decode()).get("channel", [""])[0])
        if channel is None:
            return self.refuse(200, "channel_not_found")
        if channel["is_archived"]:
            return self.refuse(200, "is_archived")
        if channel["is_private"]:
            return self.refuse(200, "method_not_supported_for_channel_type")
        channel["is_member"] = True
        return {"ok": True, "channel": channel}

    def _channel(self, number: str) -> Json | None:
        return next((channel for channel in self.channels if channel["id"] == number), None)

    def _since(self, call: Call, message: Json) -> bool:
        oldest, ts = float(call.param("oldest", "0")), float(message["ts"])
        return ts > oldest or (ts == oldest and call.param("inclusive") == "true")

    def _listed(self, call: Call, key: str, rows: Sequence[Any]) -> Json:
        start = int(call.param("cursor", "next:0").partition(":")[2])
        end = start + min(self.page, int(call.param("limit", "100")))
        has_more = end < len(rows)
        following = f"next:{end}" if has_more else ""
        return {"ok": True, key: rows[start:end], "has_more": has_more, "response_metadata": {"next_cursor": following}}


if __name__ == "__main__":
    run_rotating(SlackStandIn)
