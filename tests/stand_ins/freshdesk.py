"""A stand-in for Freshdesk: the documented lists of a small help desk, with their paging, filters and refusals.

By hand: `python -m stand_ins.freshdesk --port 8080` prints its address; the API key is larkspur-key. Facts:
developers.freshdesk.com/api, read 2026-11.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from kitestring.testing.help_desk.objects import BEGIN, END, iso
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, Limit, route
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]

CODES = {401: "invalid_credentials", 402: "require_feature", 403: "access_denied"}
API_KEY = "larkspur-key"
PAGES = 300
"""Further pages of a list are refused."""


class FreshdeskStandIn(PagedApi):
    """Freshdesk on 127.0.0.1. `lacks` names lists that the plan does not include, `forbidden` those it refuses."""

    name: ClassVar[str] = "Freshdesk stand-in"
    refusals: ClassVar[Mapping[int, str]] = {
        401: "You have to be logged in to do this.",
        402: "The feature is not supported in your plan",
        403: "You are not authorized to perform this action.",
    }

    def __init__(self, *, tickets: int = 230, **options: Any) -> None:
        super().__init__(**options)
        self.now = END
        texts = problems()
        # Three tickets share each second, as after a bulk update.
        self.tickets = {
            n: self._object(
                n, updated=BEGIN + n // 3 * 1000, subject=texts[n % 60].title,
                description=f"<p>{texts[n % 60].cause}</p>",
                description_text=texts[n % 60].cause, status=2 + n % 4, priority=1 + n % 4, source=1, spam=n % 40 == 7,
                deleted=n % 40 == 9, requester_id=500 + n % 130, tags=[], custom_fields={},
            )
            for n in range(1, tickets + 1)
        }  # fmt: skip
        self.folders: dict[int, Json] = {}
        self.replies = {n: [self._reply(n, i) for i in range(n % 3)] for n in self.tickets}
        self.contacts = [
            self._object(
                500 + i, name=FIRST_NAMES[i % 30], email=f"c{i}@northwind.example", deleted=i == 3, active=True
            )
            for i in range(130)
        ]
        named = {name: [self._object(100 + i, name=f"{name} {i}", description="") for i in range(3)] for name in NAMED}
        self.lists: dict[str, list[Json]] = {
            **named,
            "agents": [self._object(700 + i, ticket_scope=1, contact={"name": FIRST_NAMES[i]}) for i in range(3)],
            "solutions/categories": [self._object(i, name=f"Category {i}", description="") for i in (1, 2)],
            "discussions/categories": [self._object(5, name="Community", description="")],
            "discussions/categories/5/forums": [self._object(6, name="Ideas", forum_category_id=5)],
            "discussions/forums/6/topics": [self._object(7, title="A darker theme", message="Please.", forum_id=6)],
            "discussions/topics/7/comments": [self._object(8, body="<p>Yes!</p>", body_text="Yes!", topic_id=7)],
            "canned_response_folders": [self._object(9, name="Greetings", personal=False, responses_count=1)],
            "canned_response_folders/9/responses": [self._object(10, title="Hello", content="Hello!", folder_id=9)],
            "ticket_fields": [self._object(20 + i, name=n, label=n, type="text") for i, n in enumerate(("a", "b"))],
            "time_entries": [self._object(30, ticket_id=2, note="Called back", time_spent="00:20", billable=True)],
        }
        self.lists.update({
            "surveys": [self._object(1, title="How did we do?", active=True, questions=[])],
            "business_hours": [self._object(1, name="Office", is_default=True, time_zone="Berlin", business_hours={})],
            "email_configs": [self._object(1, name="Support", to_email="s@larkspur.example", active=True)],
            "email/mailboxes": [self._object(1, name="Support", support_email="s@larkspur.example", active=True)],
            "scenario_automations": [self._object(1, name="Escalate", private=False, actions=[])],
            "admin/skills": [self._object(1, name="Spanish", rank=1, agents=[], conditions=[])],
            "sla_policies": [self._object(1, name="Default", active=True, is_default=True, sla_target={})],
        })  # fmt: skip
        self.settings = {"primary_language": "en", "supported_languages": ["de", "es"], "portal_languages": ["de"]}
        for category in (1, 2):
            self.lists[f"solutions/categories/{category}/folders"] = []
            self.add_folder(10 + category, category=category)
            self.lists[f"solutions/folders/{10 + category}/articles"] = [
                self._object(
                    category * 1000 + i,
                    title=p.title,
                    description=f"<p>{p.cause}</p>",
                    description_text=p.cause,
                    folder_id=10 + category,
                    status=2,
                )
                for i, p in enumerate(texts)
            ]
        # Folder 11 has a folder, which has two, one of which has one: the article lies at the bottom.
        self.add_folder(21, parent=11)
        self.add_folder(31, parent=21)
        self.add_folder(32, parent=21)
        self.add_folder(41, parent=31)
        self.lists["solutions/folders/41/articles"] = [
            self._object(4100, title="Deep down", description="<p>Found.</p>", folder_id=41, status=2)
        ]
        self.lists["solutions/folders/12/articles/de"] = [
            self._object(2000, title="Auf Deutsch", description="<p>Ja.</p>", folder_id=12, status=2)
        ]
        self.lists["solutions/folders/41/articles/es"] = [
            self._object(4100, title="En el fondo", description="<p>Encontrado.</p>", folder_id=41, status=2)
        ]
        self.ratings = [
            self._object(
                40 + i, created=BEGIN + i * 5000, ticket_id=i + 1, feedback="Thanks!", ratings={"question": 103}
            )
            for i in range(12)
        ]

    @property
    def config(self) -> Json:
        """A configuration of the source `freshdesk` that reads this server."""
        return {"domain": "larkspur.freshdesk.com", "api_key": API_KEY, "start_date": "2025-01-01T00:00:00Z",
                "base_url": self.url, "requests_per_minute": 60_000, "list_requests_per_minute": 60_000}  # fmt: skip

    def touch_ticket(self, number: int, **fields: Any) -> Json:
        """Change a ticket; with `deleted=True` it moves to the trash."""
        self.now += 60
        self.tickets[number].update(fields, updated_at=iso(self.now))
        return self.tickets[number]

    def reply(self, number: int, body: str) -> None:
        self.touch_ticket(number)
        reply = self._reply(number, len(self.replies[number]))
        self.replies[number].append({**reply, "body": body, "created_at": iso(self.now), "updated_at": iso(self.now)})

    def add_folder(self, number: int, *, category: int = 0, parent: int = 0) -> None:
        """A folder of a category, or inside another folder."""
        place = f"solutions/folders/{parent}/subfolders" if parent else f"solutions/categories/{category}/folders"
        ancestors = self.folders[parent]["hierarchy"] if parent else [_level(0, "category", category)]
        self.folders[number] = folder = self._object(
            number, name=f"Folder {number}", description="", visibility=1, parent_folder_id=parent or None,
            sub_folders_count=0, hierarchy=[*ancestors, _level(len(ancestors), "folder", number)],
        )  # fmt: skip
        self.lists.setdefault(place, []).append(folder)
        self.lists[f"solutions/folders/{number}/articles"] = []
        if parent:
            self.folders[parent]["sub_folders_count"] += 1

    # Credentials, errors and rate limits

    def admits(self, call: Call) -> bool:
        return call.headers.get("authorization") == "Basic " + b64encode(f"{API_KEY}:X".encode()).decode()

    def refuse(self, status: int, message: str) -> Answer:
        if status in CODES:  # a list outside the plan is a 403 too
            return Answer(403 if status == 402 else status, {"code": CODES[status], "message": message})
        return Answer(404, b"") if status == 404 else Answer(status, {"message": message})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {"X-RateLimit-Total": str(limit.calls), "X-RateLimit-Remaining": str(remaining)}

    # Lists

    @route("GET", "/api/v2/tickets")
    def ticket_list(self, call: Call) -> Any:
        which, since = call.param("filter"), call.param("updated_since")
        tickets = [t for t in self.tickets.values() if t["updated_at"] >= (since or iso(END))]
        tickets = [t for t in tickets if t["deleted"] == (which == "deleted") and t["spam"] == (which == "spam")]
        tickets.sort(key=lambda t: (t[call.param("order_by", "created_at")], t["id"]))
        if call.param("order_type") != "asc":
            tickets.reverse()
        if "description" not in call.param("include"):
            tickets = [{k: v for k, v in t.items() if not k.startswith("description")} for t in tickets]
        return self._page(call, tickets)

    @route("GET", "/api/v2/tickets/{number}/conversations")
    def conversations(self, call: Call, number: str) -> Any:
        if int(number) not in self.tickets:
            return self.refuse(404, "")
        return self._page(call, self.replies[int(number)])

    @route("GET", "/api/v2/contacts")
    def contact_list(self, call: Call) -> Any:
        trash, since = call.param("state") == "deleted", call.param("_updated_since")
        return self._page(call, [c for c in self.contacts if c["deleted"] == trash and c["updated_at"] >= since])

    @route("GET", "/api/v2/surveys/satisfaction_ratings")
    def rating_list(self, call: Call) -> Any:
        return self._page(call, [r for r in self.ratings if r["created_at"] >= call.param("created_since")])

    @route("GET", "/api/v2/settings/helpdesk")
    def helpdesk(self, call: Call) -> Any:
        return self.settings

    @route("GET", "/api/v2/{one}")
    @route("GET", "/api/v2/{one}/{two}")
    @route("GET", "/api/v2/{one}/{two}/{three}")
    @route("GET", "/api/v2/{one}/{two}/{three}/{four}")
    @route("GET", "/api/v2/{one}/{two}/{three}/{four}/{five}")
    def any_list(self, call: Call, **_: str) -> Any:
        path = call.path.removeprefix("/api/v2/")
        translated = path.rsplit("/", 1)[0] in self.lists and path.endswith(("/de", "/es"))
        if path in self.lists or translated:
            return self._page(call, self.lists.get(path, []))
        return self.refuse(404, "")

    def _page(self, call: Call, rows: list[Json]) -> Answer:
        size, page = int(call.param("per_page", "30")), int(call.param("page", "1"))
        if size > 100 or page > PAGES:
            return Answer(400, {"description": "Validation failed", "errors": [{"field": "page", "code": "invalid"}]})
        continues = len(rows) > page * size
        query = urlencode({**{k: v[-1] for k, v in call.params.items()}, "page": page + 1})
        headers = {"Link": f'<{self.url}{call.path}?{query}>; rel="next"'} if continues else {}
        return Answer(200, rows[(page - 1) * size : page * size], headers)

    def _object(self, number: int, *, created: int = BEGIN, updated: int | None = None, **fields: Any) -> Json:
        return {"id": number, "created_at": iso(created), "updated_at": iso(updated or created), **fields}

    def _reply(self, number: int, i: int) -> Json:
        updated = BEGIN + number // 3 * 1000
        return self._object(
            number * 100 + i, updated=updated, ticket_id=number, user_id=700, body="<p>We look into it.</p>",
            body_text="We look into it.", incoming=bool(i), private=not i, attachments=[],
        )  # fmt: skip


def _level(level: int, kind: str, number: int) -> Json:
    return {"level": level, "type": kind, "data": {"id": number, "name": f"{kind} {number}", "language": "en"}}


NAMED = ("companies", "groups", "roles", "products")


if __name__ == "__main__":
    run(FreshdeskStandIn)
