"""A stand-in for Zendesk: the documented API over a small help desk, with its paging, credentials, limits and faults.

By hand: `python -m kitestring.testing.zendesk --port 8080` prints its address; its OAuth client is larkspur with the
secret larkspur-secret. Facts: developer.zendesk.com/api-reference (ticketing, help_center), read 2026-11.
"""

from __future__ import annotations

import argparse
import threading
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar
from urllib.parse import urlencode

from kitestring.testing.help_desk import HelpDesk, records
from kitestring.testing.help_desk.objects import seconds_of
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, route, serve
from kitestring.testing.token_endpoint import TokenEndpoint
from kitestring.testing.zendesk_paging import EXPORT_PAGE, integer
from kitestring.testing.zendesk_records import Records

Json = dict[str, Any]

DOCUMENTED_LIMITS = (10, 60.0, "/incremental/"), (700, 60.0, "")
EMAIL, API_TOKEN, ACCESS_TOKEN = "agent@larkspur.example", "larkspur-token", "larkspur-oauth"
CLIENT_ID, CLIENT_SECRET = "larkspur", "larkspur-secret"
TOKEN_LIFETIME_S = 1800.0
RESOURCES = {"tickets": "ticket", "users": "/users", "organizations": "organization", "hc": "/help_center"}
"""Scopes of one resource, `tickets:read`, and what their paths have in them; all others need `read`."""


class ZendeskStandIn(Records):
    """Zendesk on 127.0.0.1.

    `desk` is the account behind it; change it while the server runs (`touch_ticket`, `delete_ticket`, …). `lacks` names
    path pieces that the plan does not include: they answer 404. `forbidden` likewise answers 403. With
    `documented_limits` it allows 10 export calls and 700 others a minute, as the vendor does. `export_page` is the
    largest page of an incremental export. `audits_as_feed` gives `ticket_audits` the cursors of the reference's example
    (`before_cursor`) in place of `meta`; `leaves_out` leaves marks of pages out. `add_brand`, `import_articles`, … are
    those of the desk.

    `tokens` is the token endpoint: an access token ends after `token_lifetime_s` (None: never), a refresh ends the pair
    before it. Besides, `access_token` is one of an old client, which never ends.
    """

    name: ClassVar[str] = "Zendesk stand-in"

    def __init__(
        self,
        *,
        tickets: int = 400,
        seed: int = 1,
        desk: HelpDesk | None = None,
        email: str = EMAIL,
        api_token: str = API_TOKEN,
        access_token: str = ACCESS_TOKEN,
        token_lifetime_s: float | None = TOKEN_LIFETIME_S,
        lacks: Collection[str] = (),
        forbidden: Collection[str] = (),
        documented_limits: bool = False,
        export_page: int = EXPORT_PAGE,
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        if documented_limits:
            limits = (*limits, *(Limit(*row) for row in DOCUMENTED_LIMITS))
        super().__init__(port=port, faults=faults, limits=limits)
        self.desk = desk or HelpDesk(tickets=tickets, seed=seed)
        self.email, self.api_token, self.access_token = email, api_token, access_token
        self.tokens = TokenEndpoint(
            {CLIENT_ID: CLIENT_SECRET}, token_lifetime_s, sent_as=("json",), client_in=("body",), scope="read write"
        )
        self.lacks, self.forbidden = lacks, forbidden
        self.export_page = export_page
        self.documented_limits = documented_limits
        self.audits_as_feed = False
        self._created_by_key: dict[str, tuple[bytes, Answer]] = {}
        self._creating = threading.Lock()
        self.touch_ticket = self.desk.touch_ticket
        self.add_ticket = self.desk.add_ticket
        self.delete_ticket = self.desk.delete_ticket
        self.edit_article_metadata = self.desk.edit_article_metadata
        self.shrink_article = self.desk.shrink_article
        self.add_brand = self.desk.add_brand
        self.import_articles = self.desk.import_articles

    @property
    def config(self) -> Json:
        """A configuration of the source `zendesk_support` that reads this server."""
        return {
            "subdomain": "larkspur",
            "start_date": "2025-01-01T00:00:00Z",
            "credentials": self.client_credentials,
            "base_url": self.url,
            # This server allows what its `limits` say; the vendor's budget would only make tests wait.
            **({} if self.documented_limits else {"export_calls_per_minute": 60_000, "calls_per_minute": 60_000}),
        }

    @property
    def client_credentials(self) -> Json:
        """The option `credentials` with the OAuth client."""
        client, secret = next(iter(self.tokens.clients.items()))
        return {"credentials": "client_credentials", "client_id": client, "client_secret": secret}

    def consented(self) -> Json:
        """The option `credentials` with a new pair of tokens, as if an administrator had consented."""
        pair = self.tokens.granted(scope="read")
        client = {"client_id": pair.client, "client_secret": self.tokens.clients[pair.client]}
        tokens = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
        return {"credentials": "oauth2.0", **client, **tokens}

    @property
    def api_token_credentials(self) -> Json:
        """The option `credentials` with an API token."""
        return {"credentials": "api_token", "email": self.email, "api_token": self.api_token}

    # Credentials, errors and rate limits

    @route("POST", "/oauth/tokens")
    def token(self, call: Call) -> Answer:
        return self.tokens.answer(call)

    @route("GET", "/oauth/authorizations/new")
    def consent(self, call: Call) -> Answer:
        """The page on which an administrator consents; this one has consented already."""
        client, back = call.param("client_id"), call.param("redirect_uri")
        if client not in self.tokens.clients or not back or call.param("response_type") != "code":
            return Answer(400, b"<h1>Invalid Authorization Request</h1>", {"Content-Type": "text/html"})
        code = self.tokens.code(
            client, scope=call.param("scope"), challenge=call.param("code_challenge"), redirect_uri=back
        )
        query = urlencode({"code": code, **({"state": call.param("state")} if call.param("state") else {})})
        return Answer(302, b"", {"Location": f"{back}{'&' if '?' in back else '?'}{query}"})

    def authorize(self, call: Call) -> Answer | None:
        if call.path.startswith(("/hc/", "/oauth/")):
            return None
        token = call.headers.get("authorization", "")
        kind, _, value = token.partition(" ")
        pair = None
        if kind == "Bearer":
            pair = self.tokens.pair_of(value)
            allowed = pair is not None or value == self.access_token
        elif kind == "Basic":
            allowed = value == b64encode(f"{self.email}/token:{self.api_token}".encode()).decode()
        else:
            # Without credentials the real API answers this one path, with an anonymous user.
            allowed = not token and call.path.removesuffix(".json") == "/api/v2/users/me"
        if not allowed and kind == "Bearer":
            ended = "The access token provided is expired, revoked, malformed or invalid for other reasons."
            return Answer(401, {"error": "invalid_token", "error_description": ended})
        if not allowed:
            return Answer(401, {"error": "Couldn't authenticate you"})
        missing = _missing_scope(call, pair.scope) if pair is not None else ""
        if missing:
            description = f"You are missing the following required scopes: {missing}"
            return Answer(403, {"error": "Forbidden", "description": description})
        if any(part in call.path for part in self.forbidden):
            message = "You do not have access to this page. Please contact the account owner of this help desk."
            return Answer(403, {"error": {"title": "Forbidden", "message": message}})
        if any(part in call.path for part in self.lacks):
            return self.refuse(404, "Not found")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        if status == 404:
            return Answer(404, {"error": "RecordNotFound", "description": message})
        if status == 429:
            return Answer(429, {"error": "TooManyRequests", "description": "Number of allowed API requests exceeded"})
        return Answer(status, {"error": message})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        reset = str(int(reset_s + 0.999))
        if limit.on.pattern:
            detail = f"total={limit.calls}; remaining={remaining}; resets={reset}"
            return {"Zendesk-RateLimit-incremental-exports": detail}
        return {
            "X-Rate-Limit": str(limit.calls),
            "X-Rate-Limit-Remaining": str(remaining),
            "ratelimit-limit": str(limit.calls),
            "ratelimit-remaining": str(remaining),
            "ratelimit-reset": reset,
        }

    # Incremental exports

    @route("GET", "/api/v2/incremental/tickets/cursor")
    def ticket_export(self, call: Call) -> Any:
        tickets = self.desk.exported_tickets()
        answer = self.cursor_export(call, "tickets", tickets, lambda t: (t["generated_timestamp"], t["id"]))
        if isinstance(answer, Answer):
            return answer
        if call.param("exclude_deleted") == "true":
            answer["tickets"] = [t for t in answer["tickets"] if t["status"] != "deleted"]
        if "metric_sets" in call.param("include"):
            answer["metric_sets"] = [self.desk.metrics(t) for t in answer["tickets"] if t["status"] != "deleted"]
        return answer

    @route("GET", "/api/v2/incremental/users/cursor")
    def user_export(self, call: Call) -> Any:
        users = sorted(self.desk.users, key=lambda u: (u["updated_at"], u["id"]))
        answer = self.cursor_export(call, "users", users, lambda u: (seconds_of(u["updated_at"]), u["id"]))
        if "identities" in call.param("include") and not isinstance(answer, Answer):
            answer["identities"] = [row for user in answer["users"] for row in records.identities(self.desk, user)]
        return answer

    @route("GET", "/api/v2/incremental/organizations")
    def organization_export(self, call: Call) -> Any:
        return self.time_export(call, "organizations", self.desk.organizations, lambda o: seconds_of(o["updated_at"]))

    @route("GET", "/api/v2/incremental/ticket_events")
    def event_export(self, call: Call) -> Any:
        answer = self.time_export(call, "ticket_events", self.desk.ticket_events(), lambda e: e["timestamp"])
        if call.param("include") != "comment_events" and not isinstance(answer, Answer):
            answer["ticket_events"] = [
                {**event, "child_events": [_without_text(child) for child in event["child_events"]]}
                for event in answer["ticket_events"]
            ]
        return answer

    @route("GET", "/api/v2/incremental/ticket_metric_events")
    def metric_event_export(self, call: Call) -> Any:
        return self.time_export(
            call, "ticket_metric_events", self.desk.metric_events(), lambda e: seconds_of(e["time"])
        )

    # Single objects and writing

    @route("GET", "/api/v2/users/me")
    def me(self, call: Call) -> Any:
        if "authorization" not in call.headers:
            return {"user": {"id": None, "name": "Anonymous user", "email": "invalid@example.com", "role": "end-user"}}
        return {"user": self.desk.users[0]}

    @route("POST", "/api/v2/tickets")
    def create_ticket(self, call: Call) -> Any:
        """A key that was used before gets its first answer again, and another body under it is refused
        (…/ticketing/introduction/#idempotency). The vendor forgets a key after two hours, this server never."""
        key = call.headers.get("idempotency-key")
        if key is None:
            return self._created(call, "ticket")
        with self._creating:
            if key in self._created_by_key:
                body, first = self._created_by_key[key]
                if body != call.body:
                    message = "Request parameters don't match the given idempotency key"
                    return Answer(400, {"error": "IdempotentRequestError", "description": message})
                return Answer(first.status, first.body, {**first.headers, "x-idempotency-lookup": "hit"})
            answer = self._created(call, "ticket")
            if answer.status == 201:
                self._created_by_key[key] = call.body, answer
                answer.headers["x-idempotency-lookup"] = "miss"
            return answer

    @route("POST", "/api/v2/requests")
    def create_request(self, call: Call) -> Any:
        return self._created(call, "request")

    @route("GET", "/api/v2/tickets/{number}")
    def ticket(self, call: Call, number: str) -> Any:
        ticket = self.desk.tickets.get(integer(number))
        if ticket is None or ticket["status"] == "deleted":
            return self.refuse(404, "Not found")
        return {"ticket": ticket}

    @route("PUT", "/api/v2/tickets/{number}")
    def update_ticket(self, call: Call, number: str) -> Any:
        if integer(number) not in self.desk.tickets:
            return self.refuse(404, "Not found")
        changes = dict(call.json()["ticket"])
        comment = changes.pop("comment", {}).get("body")
        return {"ticket": self.desk.touch_ticket(int(number), comment=comment, **changes)}

    @route("DELETE", "/api/v2/tickets/{number}")
    def remove_ticket(self, call: Call, number: str) -> Any:
        if integer(number) not in self.desk.tickets:
            return self.refuse(404, "Not found")
        self.desk.delete_ticket(int(number))
        return Answer(204, b"")

    @route("GET", "/api/v2/tickets/{number}/comments")
    def ticket_comments(self, call: Call, number: str) -> Any:
        if integer(number) not in self.desk.tickets:
            return self.refuse(404, "Not found")
        return self.listed(call, "comments", self.desk.comments(int(number)))

    @route("GET", "/api/v2/tickets/{number}/audits")
    def audits_of_ticket(self, call: Call, number: str) -> Any:
        if integer(number) not in self.desk.tickets:
            return self.refuse(404, "Not found")
        return self.listed(call, "audits", self.desk.audits(int(number)))

    @route("GET", "/api/v2/tickets/{number}/metrics")
    def metrics_of_ticket(self, call: Call, number: str) -> Any:
        metrics = self.desk.tickets.get(integer(number))
        return {"ticket_metric": self.desk.metrics(metrics)} if metrics else self.refuse(404, "Not found")

    @route("GET", "/api/v2/ticket_audits")
    def ticket_audits(self, call: Call) -> Any:
        audits = self.desk.all_audits()
        return self.feed(call, "audits", audits) if self.audits_as_feed else self.listed(call, "audits", audits)

    @route("GET", "/api/v2/organizations/search")
    @route("GET", "/api/v2/organizations/autocomplete")
    def search_organizations(self, call: Call) -> Any:
        name = call.param("name").lower()
        return self.listed(
            call, "organizations", [o for o in self.desk.organizations if name and name in o["name"].lower()]
        )

    @route("GET", "/api/v2/users/search")
    def search_users(self, call: Call) -> Any:
        query = call.param("query").lower().removeprefix("email:").strip('"')
        users = [u for u in self.desk.users if query and (query in u["email"] or query in u["name"].lower())]
        return self.listed(call, "users", users)

    @route("GET", "/api/v2/search")
    def search(self, call: Call) -> Any:
        terms = call.param("query").split()
        kinds = [w.removeprefix("type:") for w in terms if w.startswith("type:")] or ["ticket"]
        text = " ".join(w for w in terms if ":" not in w).strip('"').lower()
        matches: list[Json] = []
        for kind, rows, field in (
            ("ticket", self.desk.live_tickets(), "subject"),
            ("organization", self.desk.organizations, "name"),
            ("user", self.desk.users, "name"),
        ):
            if kind in kinds:
                matches += [{**row, "result_type": kind} for row in rows if text in row[field].lower()]
        return self.listed(call, "results", matches)

    @route("GET", "/api/v2/business_hours/schedules")
    def schedules(self, call: Call) -> Any:
        intervals = [{"start_time": 1440 * d + 480, "end_time": 1440 * d + 1020} for d in range(1, 6)]
        week = {"id": 1500, "name": "Working hours", "time_zone": "Copenhagen", "intervals": intervals}
        return {"schedules": [{**week, "created_at": "2025-01-06T08:00:00Z", "updated_at": "2025-01-06T08:00:00Z"}]}

    @route("GET", "/api/v2/satisfaction_ratings")
    def satisfaction_ratings(self, call: Call) -> Any:
        since = float(call.param("start_time", "0"))
        return self.listed(
            call, "satisfaction_ratings", [r for r in self.desk.ratings() if seconds_of(r["created_at"]) >= since]
        )

    # Plain lists

    @route("GET", "/api/v2/slas/policies")
    def sla_policies(self, call: Call) -> Any:
        metric = {"priority": "high", "metric": "first_reply_time", "target": 60, "business_hours": True}
        policy: Json = {"id": 1400, "url": None, "title": "High priority", "description": "", "position": 1,
                  "filter": {"all": [], "any": []}, "policy_metrics": [metric],
                  "created_at": "2025-01-06T08:00:00Z", "updated_at": "2025-01-06T08:00:00Z"}  # fmt: skip
        return self.listed(call, "sla_policies", [policy])

    @route("GET", "/api/v2/{collection}")
    def plain_list(self, call: Call, collection: str) -> Any:
        desk = self.desk
        lists: dict[str, Callable[[], Iterable[Json]]] = {
            "tickets": desk.live_tickets,
            "users": lambda: desk.users,
            "organizations": lambda: desk.organizations,
            "groups": lambda: desk.groups,
            "brands": lambda: desk.brands,
            "macros": lambda: desk.macros,
            "views": lambda: desk.views,
            "tags": desk.tags,
            "ticket_fields": lambda: desk.ticket_fields,
            "ticket_forms": lambda: desk.ticket_forms,
            "ticket_metrics": lambda: [desk.metrics(t) for t in desk.live_tickets()],
            "group_memberships": desk.group_memberships,
            "organization_memberships": desk.organization_memberships,
            "triggers": lambda: desk.triggers,
            "automations": list,
            "custom_roles": list,
            "user_fields": lambda: desk.user_fields,
            "organization_fields": lambda: desk.organization_fields,
            "deleted_tickets": desk.deleted_tickets,
            "audit_logs": lambda: records.audit_logs(desk),
            "activities": lambda: records.activities(desk),
            "skips": lambda: records.skips(desk),
        }
        return self.named_list(lists, call, collection, 100)

    # Writing

    def _created(self, call: Call, key: str) -> Answer:
        members = (call.json() or {}).get(key) or {}
        comment = members.get("comment") or {}
        text = comment.get("body") or comment.get("html_body") or members.get("description")
        if not text:
            problem = {"description": "Description: cannot be blank", "error": "BlankValue"}
            details = {"base": [problem]}
            return Answer(
                422, {"error": "RecordInvalid", "description": "Record validation errors", "details": details}
            )
        users = ("requester_id", "organization_id", "priority", "type", "tags", "status", "group_id", "external_id")
        fields = {k: members[k] for k in users if members.get(k) is not None}
        email = (members.get("requester") or {}).get("email")
        if email:
            person = next((u for u in self.desk.users if u["email"] == email.lower()), None)
            fields.setdefault("requester_id", person["id"] if person else None)
        subject = members.get("subject") or text[:80]
        ticket = self.desk.add_ticket(subject, text, **fields)
        return Answer(201, {key: ticket, "audit": self.desk.audits(ticket["id"])[0]}, {"Location": ticket["url"]})


def _missing_scope(call: Call, scope: str) -> str:
    """The scope that a call needs and a token with this one lacks; empty where it suffices."""
    right = "read" if call.method == "GET" else "write"
    resource = next((name for name, part in RESOURCES.items() if part in call.path), None)
    needed = {right, *([f"{resource}:{right}"] if resource else [])}
    return "" if needed & {*scope.split()} else ", ".join(sorted(needed))


def _without_text(child: Json) -> Json:
    """A child event as the export gives it without `include=comment_events`."""
    if child["event_type"] != "Comment":
        return child
    fields = {"id": child["id"], "via": child["via"], "event_type": "Comment"}
    return {**fields, "comment_present": True, "comment_public": child["public"]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.zendesk", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--tickets", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documented-limits", action="store_true", help="10 export calls and 700 others a minute")
    parser.add_argument("--articles", type=int, default=60, help="of the first help center")
    parser.add_argument("--locales", default="en-us", help="such as en-us,de,fr: each article has a text in every one")
    parser.add_argument(
        "--brand", action="append", default=[], help="one more brand, by its subdomain, with 12 articles"
    )
    options = parser.parse_args()
    locales = options.locales.split(",")
    desk = HelpDesk(tickets=options.tickets, seed=options.seed, articles=options.articles, locales=locales)
    for subdomain in options.brand:
        desk.add_brand(subdomain.title(), subdomain, locales=locales)
    serve(ZendeskStandIn(desk=desk, documented_limits=options.documented_limits, port=options.port))


if __name__ == "__main__":
    main()
