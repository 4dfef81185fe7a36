"""The help desk behind the Zendesk stand-in: a made-up company's account, the same from every seed.

Objects have the fields of Zendesk's API reference. Time inside the help desk is its own: it starts at `now` (seconds
since the epoch) and each change moves it on by a minute, so that a run gives the same bytes on every day of the year.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from kitestring.testing.help_desk.help_center import LOCALES, HelpCenter
from kitestring.testing.help_desk.objects import API, END, GROUPS, Json, Objects, iso, seconds_of, slug
from kitestring.testing.help_desk.texts import AGENTS, ANSWERS, ORGANIZATIONS, problems


class HelpDesk(Objects):
    """Everything an account holds. `tickets` is how many there are; texts repeat only as real ones do.

    Change it with `add_ticket`, `touch_ticket`, `delete_ticket`, `edit_article_metadata`, `shrink_article`: each moves
    `now` on and gives the object a new `updated_at`.
    """

    def __init__(
        self, *, tickets: int = 400, seed: int = 1, articles: int = 60, locales: Sequence[str] = LOCALES[:1]
    ) -> None:
        self.seed = seed
        self.now = END
        self.lock = threading.RLock()
        self.problems = problems()
        rng = random.Random(f"{seed}:people")
        self.brands = [self._brand(501, "Larkspur", "larkspur", default=True)]
        self.groups = [
            self._object("groups", 700 + i, name=name, description="", default=i == 0, deleted=False, is_public=True)
            for i, name in enumerate(GROUPS)
        ]
        self.organizations = [self._organization(i, *row) for i, row in enumerate(ORGANIZATIONS)]
        self.users = [self._agent(i, name) for i, name in enumerate(AGENTS)]
        self.users += [self._customer(i, rng) for i in range(60)]
        self._customers = [u for u in self.users if u["role"] == "end-user"]
        self.tickets: dict[int, Json] = {}
        self._comments: dict[int, list[Json]] = {}
        self._version = 0
        self._cached: dict[str, tuple[int, list[Json]]] = {}
        for n in range(1, tickets + 1):
            self.tickets[n] = self._ticket(n, tickets)
        self._rated: dict[int, Json] = {}
        self.help_center = HelpCenter(self, self.brands[0], articles, locales)
        self.categories, self.sections = self.help_center.categories, self.help_center.sections
        self.articles = self.help_center.articles
        self.help_centers = {"larkspur": self.help_center}

    # Changes

    def add_brand(
        self, name: str, subdomain: str, *, articles: int = 12, locales: Sequence[str] = LOCALES[:1], **fields: Any
    ) -> HelpCenter:
        """A brand with a help center of its own; `fields` change what the API says about the brand."""
        with self.lock:
            self._tick()
            self.brands.append({**self._brand(501 + len(self.brands), name, subdomain), **fields})
            self.help_centers[subdomain] = help_center = HelpCenter(self, self.brands[-1], articles, locales)
            return help_center

    def import_articles(self, count: int, subdomain: str = "larkspur") -> list[Json]:
        """Articles that a program makes within one second."""
        with self.lock:
            return self.help_centers[subdomain].import_articles(count, self._tick())

    def translate(self, article_id: int, locale: str, title: str, body: str, subdomain: str = "larkspur") -> Json:
        """Write an article in another locale."""
        with self.lock:
            return self.help_centers[subdomain].translate(article_id, locale, title, body, self._tick())

    def comment_on_article(self, article_id: int, body: str, subdomain: str = "larkspur") -> Json:
        """A reader's comment below an article."""
        with self.lock:
            return self.help_centers[subdomain].comment(article_id, body, self._tick())

    def rate(self, ticket_id: int, score: str, comment: str = "") -> None:
        """A requester answers the offer to rate a ticket: its rating, made with the offer, gets a score."""
        with self.lock:
            answer = {"score": score, "comment": comment, "updated_at": iso(self._tick())}
            self._rated[ticket_id] = {**self._rated.get(ticket_id, {}), **answer}

    def offer(self, ticket_id: int) -> None:
        """Offer the requester of a ticket to rate it."""
        with self.lock:
            when = iso(self._tick())
            self._rated[ticket_id] = {"score": "offered", "comment": None, "created_at": when, "updated_at": when}

    def add_ticket(
        self,
        subject: str,
        description: str,
        *,
        requester_id: int | None = None,
        organization_id: int | None = None,
        **fields: Any,
    ) -> Json:
        """A new ticket with status new (or what `fields` say)."""
        with self.lock:
            when = self._tick()
            requester = next((u for u in self.users if u["id"] == requester_id), self._customers[0])
            ticket = self._blank_ticket(max(self.tickets, default=0) + 1, when, when)
            ticket.update(
                subject=subject,
                raw_subject=subject,
                description=description,
                requester_id=requester["id"],
                submitter_id=requester["id"],
                organization_id=organization_id or requester["organization_id"],
                **{k: v for k, v in fields.items() if k in ticket},
            )
            self.tickets[ticket["id"]] = ticket
            self._comments[ticket["id"]] = [self._comment(ticket, 0, requester["id"], description, True, when)]
            return ticket

    def touch_ticket(self, ticket_id: int, *, comment: str | None = None, **fields: Any) -> Json:
        """Change fields of a ticket; without any, its description gains a sentence. `comment` adds a public reply."""
        with self.lock:
            ticket = self.tickets[ticket_id]
            comments = self.comments(ticket_id)
            when = self._tick()
            if not fields and comment is None:
                fields = {"description": f"{ticket['description']}\n\nUpdate: it happened again at {iso(when)}."}
            if "subject" in fields:
                fields["raw_subject"] = fields["subject"]
            ticket.update(fields, updated_at=iso(when), generated_timestamp=when)
            if comment is not None:
                author = ticket["assignee_id"] or self.users[0]["id"]
                comments.append(self._comment(ticket, len(comments), author, comment, True, when))
            return ticket

    def delete_ticket(self, ticket_id: int) -> Json:
        """Delete as Zendesk does: the export still tells it, with status `deleted`."""
        with self.lock:
            self.comments(ticket_id)
            when = self._tick()
            ticket = self.tickets[ticket_id]
            ticket.update(status="deleted", updated_at=iso(when), generated_timestamp=when)
            return ticket

    def edit_article_metadata(self, article_id: int) -> Json:
        """Change labels, votes and promotion of an article; its title and text stay."""
        with self.lock:
            article = self.articles[article_id]
            when = self._tick()
            article.update(
                label_names=[*article["label_names"], f"reviewed-{when}"],
                promoted=not article["promoted"],
                vote_sum=article["vote_sum"] + 3,
                vote_count=article["vote_count"] + 5,
                updated_at=iso(when),
            )
            return article

    def shrink_article(self, article_id: int) -> Json:
        """Cut an article down to its first paragraph."""
        with self.lock:
            article = self.articles[article_id]
            when = self._tick()
            first = re.search(r"<p>.*?</p>", article["body"], re.DOTALL)
            article.update(body=first[0] if first else "<p></p>", updated_at=iso(when), edited_at=iso(when))
            return article

    def _tick(self) -> int:
        self.now += 60
        self._version += 1
        return self.now

    # What the API lists

    def exported_tickets(self) -> list[Json]:
        """All tickets, the deleted ones too, in the order of the incremental export."""
        return self._once(
            "tickets", lambda: sorted(self.tickets.values(), key=lambda t: (t["generated_timestamp"], t["id"]))
        )

    def all_audits(self) -> list[Json]:
        """The audits of all tickets that are not deleted, the newest first."""
        return self._once(
            "audits",
            lambda: sorted(
                (a for t in self.live_tickets() for a in self.audits(t["id"])),
                key=lambda a: (a["created_at"], a["id"]),
                reverse=True,
            ),
        )

    def _once(self, name: str, make: Callable[[], list[Json]]) -> list[Json]:
        """A list that is rebuilt only after a change: a large export is read page by page."""
        with self.lock:
            version, rows = self._cached.get(name, (-1, []))
            if version != self._version:
                rows = make()
                self._cached[name] = (self._version, rows)
            return rows

    def live_tickets(self) -> list[Json]:
        """Tickets that are not deleted, by id."""
        with self.lock:
            return [t for t in self.tickets.values() if t["status"] != "deleted"]

    def comments(self, ticket_id: int) -> list[Json]:
        """The conversation of a ticket, oldest first."""
        with self.lock:
            if ticket_id not in self._comments:
                self._comments[ticket_id] = self._conversation(self.tickets[ticket_id])
            return self._comments[ticket_id]

    def audits(self, ticket_id: int) -> list[Json]:
        """One audit for each comment, with the changes that came with it."""
        ticket = self.tickets[ticket_id]
        out = []
        for number, comment in enumerate(self.comments(ticket_id)):
            events: list[Json] = [{k: v for k, v in comment.items() if k not in ("created_at", "via", "metadata")}]
            if number == 0:
                for name in ("subject", "priority", "status"):
                    value = "new" if name == "status" else ticket[name]
                    events.append(
                        {"id": comment["id"] + 1 + len(events), "type": "Create", "field_name": name, "value": value}
                    )
            elif number == 1 and ticket["status"] not in ("new", "deleted"):
                change = {"type": "Change", "field_name": "status", "previous_value": "new", "value": ticket["status"]}
                events.append({"id": comment["id"] + 2, **change})
            out.append(
                {
                    "id": comment["audit_id"],
                    "ticket_id": ticket_id,
                    "created_at": comment["created_at"],
                    "author_id": comment["author_id"],
                    "metadata": comment["metadata"],
                    "events": events,
                    "via": comment["via"],
                }
            )
        return out

    def ticket_events(self) -> list[Json]:
        """The event export: the audits of all tickets in order of time, their events as children."""
        return self._once("ticket_events", self._ticket_events)

    def _ticket_events(self) -> list[Json]:
        out = []
        for ticket in list(self.tickets.values()):
            for audit in self.audits(ticket["id"]):
                timestamp = int(datetime.fromisoformat(audit["created_at"]).timestamp())
                out.append(
                    {
                        "id": audit["id"],
                        "ticket_id": audit["ticket_id"],
                        "timestamp": timestamp,
                        "created_at": audit["created_at"],
                        "updater_id": audit["author_id"],
                        "via": "Web form",
                        "system": audit["metadata"]["system"],
                        "metadata": {},
                        "event_type": "Audit",
                        "child_events": [
                            {
                                "event_type": e["type"],
                                "via": "Web form",
                                "via_reference_id": None,
                                **({**e, "created_at": audit["created_at"]} if e["type"] == "Comment" else
                                   {"id": e["id"], e["field_name"]: e["value"]}),
                            }
                            for e in audit["events"]
                        ],
                    }
                )  # fmt: skip
        return sorted(out, key=lambda e: (e["timestamp"], e["id"]))

    def metrics(self, ticket: Json) -> Json:
        """The metric set of a ticket."""
        rng = random.Random(f"{self.seed}:metrics:{ticket['id']}")
        replies = sum(1 for c in self.comments(ticket["id"]) if c["public"]) - 1
        first = rng.randrange(4, 900)
        solved = ticket["status"] in ("solved", "closed")

        def minutes(value: int | None) -> Json:
            return {"calendar": value, "business": value and value // 3}

        return {
            "url": f"{API}/ticket_metrics/{800000 + ticket['id']}.json",
            "id": 800000 + ticket["id"],
            "ticket_id": ticket["id"],
            "created_at": ticket["created_at"],
            "updated_at": ticket["updated_at"],
            "group_stations": 1,
            "assignee_stations": 1 if ticket["assignee_id"] else 0,
            "reopens": rng.choice((0, 0, 0, 1)),
            "replies": replies,
            "assignee_updated_at": ticket["updated_at"] if ticket["assignee_id"] else None,
            "requester_updated_at": ticket["created_at"],
            "status_updated_at": ticket["updated_at"],
            "initially_assigned_at": ticket["created_at"] if ticket["assignee_id"] else None,
            "assigned_at": ticket["created_at"] if ticket["assignee_id"] else None,
            "solved_at": ticket["updated_at"] if solved else None,
            "latest_comment_added_at": self.comments(ticket["id"])[-1]["created_at"],
            "reply_time_in_minutes": minutes(first if replies else None),
            "first_resolution_time_in_minutes": minutes(first * 4 if solved else None),
            "full_resolution_time_in_minutes": minutes(first * 5 if solved else None),
            "agent_wait_time_in_minutes": minutes(first),
            "requester_wait_time_in_minutes": minutes(first * 2),
            "on_hold_time_in_minutes": minutes(0),
        }

    def metric_events(self) -> list[Json]:
        """The metric events: an activation for each ticket, a fulfilment where there was a reply."""
        return self._once("metric_events", self._metric_events)

    def _metric_events(self) -> list[Json]:
        out = []
        for ticket in list(self.tickets.values()):
            comments = self.comments(ticket["id"])
            rows = [("activate", comments[0]["created_at"])]
            if len(comments) > 1:
                rows.append(("fulfill", comments[1]["created_at"]))
            for n, (kind, time) in enumerate(rows):
                event = {"id": ticket["id"] * 10 + n, "ticket_id": ticket["id"], "metric": "reply_time"}
                out.append({**event, "instance_id": 1, "type": kind, "time": time})
        return sorted(out, key=lambda e: (e["time"], e["id"]))

    def ratings(self) -> list[Json]:
        """Satisfaction ratings of about a third of the solved tickets, and those that were offered."""
        out = []
        for ticket in self.live_tickets():
            rng = random.Random(f"{self.seed}:rating:{ticket['id']}")
            solved = ticket["status"] in ("solved", "closed") and rng.random() < 0.35
            if solved or ticket["id"] in self._rated:
                score = rng.choice(("good", "good", "good", "bad"))
                out.append(
                    self._object(
                        "satisfaction_ratings",
                        600000 + ticket["id"],
                        created=seconds_of(ticket["updated_at"]),
                        score=score,
                        comment=rng.choice(ANSWERS[:1] if score == "good" else ANSWERS[1:3]).format(who="my colleague"),
                        reason="No reason provided",
                        ticket_id=ticket["id"],
                        requester_id=ticket["requester_id"],
                        assignee_id=ticket["assignee_id"],
                        group_id=ticket["group_id"],
                    )
                )
                out[-1].update(self._rated.get(ticket["id"], {}))
        return out

    def tags(self) -> list[Json]:
        """The 500 most used tags, with their counts."""
        counts: dict[str, int] = {}
        for ticket in self.live_tickets():
            for tag in ticket["tags"]:
                counts[tag] = counts.get(tag, 0) + 1
        return [{"name": k, "count": n} for k, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))]

    @cached_property
    def ticket_fields(self) -> list[Json]:
        kinds = ("subject", "description", "status", "tickettype", "priority", "group", "assignee")
        out = [
            self._object("ticket_fields", 300 + i, type=k, title=k.title(), raw_title=k.title(), active=True,
                         required=k == "subject", position=i, removable=False)
            for i, k in enumerate(kinds)
        ]  # fmt: skip
        topics = [{"id": 9000 + i, "name": t, "value": slug(t)} for i, t in enumerate(self._topics())]
        out.append(self._object("ticket_fields", 360001, type="tagger", title="Product area", raw_title="Product area",
                                active=True, required=False, position=10, removable=True,
                                custom_field_options=topics))  # fmt: skip
        out.append(self._object("ticket_fields", 360002, type="text", title="Browser", raw_title="Browser", active=True,
                                required=False, position=11, removable=True))  # fmt: skip
        return out

    @cached_property
    def ticket_forms(self) -> list[Json]:
        fields = [f["id"] for f in self.ticket_fields]
        return [
            self._object("ticket_forms", 401 + i, name=name, display_name=name, raw_name=name, active=True,
                         default=i == 0, end_user_visible=True, position=i, in_all_brands=True, ticket_field_ids=fields)
            for i, name in enumerate(("Default", "Billing question"))
        ]  # fmt: skip

    @cached_property
    def macros(self) -> list[Json]:
        return [
            self._object("macros", 1200 + i, title=f"{p.topic}::{p.title}", active=True, description=p.cause,
                         position=i, restriction=None,
                         actions=[{"field": "comment_value", "value": " ".join(p.steps)}])
            for i, p in enumerate(self.problems[::4])
        ]  # fmt: skip

    @cached_property
    def views(self) -> list[Json]:
        return [
            self._object("views", 1300 + i, title=f"{status.title()} tickets", active=True, description=None,
                         position=i, restriction=None, execution={"columns": [{"id": "subject", "title": "Subject"}]},
                         conditions={"all": [{"field": "status", "operator": "is", "value": status}], "any": []})
            for i, status in enumerate(("new", "open", "pending", "solved"))
        ]  # fmt: skip

    @cached_property
    def triggers(self) -> list[Json]:
        conditions: Json = {
            "active": True,
            "description": None,
            "conditions": {"all": [], "any": []},
            "raw_title": None,
        }
        return [
            self._object("triggers", 1600 + i, title=title, position=i, actions=[], category_id=None, **conditions)
            for i, title in enumerate(("Notify the requester of a new ticket", "Assign billing questions"))
        ]

    @cached_property
    def user_fields(self) -> list[Json]:
        return [self._object("user_fields", 1700, key="department", type="text", title="Department", active=True)]

    @cached_property
    def organization_fields(self) -> list[Json]:
        fields = (("plan", "dropdown", "Plan"), ("seats", "integer", "Seats"))
        return [
            self._object("organization_fields", 1750 + i, key=key, type=kind, title=title, active=True)
            for i, (key, kind, title) in enumerate(fields)
        ]

    def group_memberships(self) -> list[Json]:
        return [
            self._object("group_memberships", 1800 + i, user_id=u["id"], group_id=u["default_group_id"], default=True)
            for i, u in enumerate(self.users)
            if u["role"] != "end-user"
        ]

    def organization_memberships(self) -> list[Json]:
        return [
            self._object("organization_memberships", 1900 + i, user_id=u["id"], default=True,
                         organization_id=u["organization_id"], organization_name=None, view_tickets=False)
            for i, u in enumerate(self._customers)
        ]  # fmt: skip

    def deleted_tickets(self) -> list[Json]:
        """A ticket as the list of deleted tickets shows it."""
        actor = {"id": self.users[0]["id"], "name": self.users[0]["name"]}
        return [
            {"id": t["id"], "subject": t["subject"], "description": t["description"], "actor": actor,
             "deleted_at": t["updated_at"], "previous_state": "open"}
            for t in self.exported_tickets()
            if t["status"] == "deleted"
        ]  # fmt: skip
