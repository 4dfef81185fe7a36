"""How the objects of the help desk are made: people, tickets, conversations and articles from a seed."""

from __future__ import annotations

import html
import random
import re
from datetime import UTC, datetime
from typing import Any

from kitestring.testing.help_desk.texts import (
    AGENTS,
    ANSWERS,
    ASKS,
    BROWSERS,
    DAYS,
    FILES,
    FIRST_NAMES,
    GREETINGS,
    IMPACT,
    LAST_NAMES,
    MONTHS,
    NOTES,
    REPLIES,
    TRIED,
    Problem,
)

Json = dict[str, Any]

BEGIN = int(datetime(2025, 1, 6, 8, tzinfo=UTC).timestamp())
END = int(datetime(2025, 10, 31, 18, tzinfo=UTC).timestamp())
API = "https://larkspur.zendesk.example/api/v2"
HELP_CENTER = "https://larkspur.zendesk.example/hc/en-us"
STATUS_WEIGHTS = {"new": 14, "open": 18, "pending": 10, "hold": 5, "solved": 25, "closed": 24, "deleted": 4}
GROUPS = ("First line", "Billing desk", "Technical support")
CATEGORIES = {
    "Using Larkspur": ("Getting started", "Notifications", "Mobile app", "Reports", "Performance"),
    "Administration": ("Signing in", "Permissions", "Billing", "Data protection"),
    "Data and developers": ("Import and export", "API and webhooks", "Integrations"),
}


def iso(seconds: int) -> str:
    """Zendesk's timestamp."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """Makes objects with the fields of Zendesk's API reference; `HelpDesk` keeps them."""

    seed: int
    problems: list[Problem]
    users: list[Json]
    groups: list[Json]
    brands: list[Json]
    organizations: list[Json]
    sections: list[Json]
    _customers: list[Json]

    def _topics(self) -> list[str]:
        return list(dict.fromkeys(p.topic for p in self.problems))

    def _object(
        self, kind: str, number: int, *, created: int = BEGIN, updated: int | None = None, **fields: Any
    ) -> Json:
        stamps = {"created_at": iso(created), "updated_at": iso(updated or created)}
        return {"url": f"{API}/{kind}/{number}.json", "id": number, **stamps, **fields}

    def _brand(self, number: int, name: str, subdomain: str, default: bool = False) -> Json:
        address = f"https://{subdomain}.zendesk.example"
        return self._object(
            "brands", number, name=name, subdomain=subdomain, active=True, default=default, is_deleted=False,
            brand_url=address, host_mapping=None, has_help_center=True, help_center_state="enabled", logo=None,
            signature_template="{{agent.signature}}", ticket_form_ids=[401, 402],
        )  # fmt: skip

    def _organization(self, i: int, name: str, domain: str) -> Json:
        return self._object(
            "organizations",
            3000 + i,
            created=BEGIN + i * 3600,
            updated=BEGIN + i * 86400,
            name=name,
            shared_tickets=False,
            shared_comments=False,
            external_id=None,
            domain_names=[domain],
            details="",
            notes="",
            group_id=self.groups[i % len(self.groups)]["id"],
            tags=[("starter", "team", "business")[i % 3]],
            organization_fields={"plan": ("Starter", "Team", "Business")[i % 3], "seats": 5 + 7 * i},
        )

    def _person(self, number: int, name: str, email: str, role: str, created: int, updated: int, **fields: Any) -> Json:
        person = {
            "name": name,
            "email": email,
            "time_zone": "Europe/Copenhagen",
            "phone": None,
            "photo": None,
            "locale_id": 1,
            "locale": "en-US",
            "organization_id": None,
            "role": role,
            "verified": True,
            "external_id": None,
            "tags": [],
            "alias": "",
            "active": True,
            "shared": False,
            "last_login_at": iso(updated),
            "two_factor_auth_enabled": None,
            "signature": None,
            "details": "",
            "notes": "",
            "role_type": None,
            "custom_role_id": None,
            "moderator": role != "end-user",
            "ticket_restriction": None,
            "only_private_comments": False,
            "restricted_agent": False,
            "suspended": False,
            "default_group_id": None,
            "user_fields": {},
            **fields,
        }
        return self._object("users", number, created=created, updated=updated, **person)

    def _agent(self, i: int, name: str) -> Json:
        email = f"{name.split()[0].lower()}@larkspur.example"
        role = "admin" if i == 0 else "agent"
        group = self.groups[i % len(self.groups)]["id"]
        return self._person(9000 + i, name, email, role, BEGIN, BEGIN + i * 3600, default_group_id=group)

    def _customer(self, i: int, rng: random.Random) -> Json:
        organization = self.organizations[i % len(self.organizations)]
        first, last = FIRST_NAMES[i % len(FIRST_NAMES)], rng.choice(LAST_NAMES)
        email = f"{first}.{last}{i}@{organization['domain_names'][0]}".lower()
        created = BEGIN + i * 7000
        return self._person(
            10000 + i, f"{first} {last}", email, "end-user", created, created + rng.randrange(10**7),
            organization_id=organization["id"], ticket_restriction="requested",
            user_fields={"department": rng.choice(("Sales", "Operations", "Finance", "IT"))},
        )  # fmt: skip

    def _slots(self, rng: random.Random, organization: str) -> dict[str, Any]:
        return {
            "n": rng.randrange(2, 90),
            "day": rng.choice(DAYS),
            "month": rng.choice(MONTHS),
            "who": f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
            "browser": rng.choice(BROWSERS),
            "file": rng.choice(FILES),
            "amount": f"{rng.choice('€$£')}{rng.randrange(19, 4000)}.{rng.randrange(100):02}",
            "org": organization,
            "code": f"LK-{rng.randrange(1000, 9999)}",
        }

    def _problem_of(self, ticket_id: int) -> tuple[random.Random, Problem]:
        rng = random.Random(f"{self.seed}:ticket:{ticket_id}")
        return rng, rng.choice(self.problems)

    def _blank_ticket(self, number: int, created: int, updated: int) -> Json:
        return {
            "url": f"{API}/tickets/{number}.json",
            "id": number,
            "external_id": None,
            "via": {"channel": "web", "source": {"from": {}, "to": {}, "rel": None}},
            "created_at": iso(created),
            "updated_at": iso(updated),
            "generated_timestamp": updated,
            "type": None,
            "subject": "",
            "raw_subject": "",
            "description": "",
            "priority": None,
            "status": "new",
            "recipient": None,
            "requester_id": None,
            "submitter_id": None,
            "assignee_id": None,
            "organization_id": None,
            "group_id": self.groups[0]["id"],
            "collaborator_ids": [],
            "follower_ids": [],
            "email_cc_ids": [],
            "forum_topic_id": None,
            "problem_id": None,
            "has_incidents": False,
            "is_public": True,
            "due_at": None,
            "tags": [],
            "custom_fields": [],
            "satisfaction_rating": {"score": "unoffered"},
            "sharing_agreement_ids": [],
            "custom_status_id": None,
            "followup_ids": [],
            "ticket_form_id": 401,
            "brand_id": self.brands[0]["id"],
            "allow_channelback": False,
            "allow_attachments": True,
            "from_messaging_channel": False,
        }

    def _ticket(self, number: int, of: int) -> Json:
        rng, problem = self._problem_of(number)
        requester = rng.choice(self._customers)
        organization = self.organizations[(requester["organization_id"] or 3000) - 3000]
        slots = self._slots(rng, organization["name"])
        created = BEGIN + (END - BEGIN - 40000) * number // (of + 1) + rng.randrange(1800)
        status = rng.choices(list(STATUS_WEIGHTS), list(STATUS_WEIGHTS.values()))[0]
        updated = created if status == "new" else min(END - 60, created + rng.randrange(1800, 12 * 86400))
        before = rng.choice(("", "", "", "Urgent: ", "Question: ", "Re: ", "Fwd: "))
        after = rng.choice(("", "", " since {day}", " at {org}", " in {browser}", " for {n} users", " ({code})"))
        subject = (before + rng.choice(problem.subjects) + after).format(**slots)
        sentences = [
            problem.symptom,
            *rng.sample(TRIED, rng.choice((0, 1, 1, 2))),
            rng.choice(IMPACT),
            rng.choice(ASKS),
        ]
        description = "\n\n".join(
            [rng.choice(GREETINGS), " ".join(sentences).format(**slots), f"Best regards\n{requester['name']}"]
        )
        assignee = None if status == "new" else 9000 + rng.randrange(len(AGENTS))
        topic = slug(problem.topic)
        ticket = self._blank_ticket(number, created, updated)
        ticket.update(
            type=rng.choice(("question", "problem", "incident", "task", None)),
            subject=subject,
            raw_subject=subject,
            description=description,
            priority=rng.choice((None, "low", "normal", "normal", "high", "urgent")),
            status=status,
            requester_id=requester["id"],
            submitter_id=requester["id"],
            assignee_id=assignee,
            organization_id=requester["organization_id"],
            group_id=self.groups[1 if topic == "billing" else rng.choice((0, 2))]["id"],
            tags=sorted({topic, slug(slots["browser"]), organization["tags"][0]}),
            custom_fields=[{"id": 360001, "value": topic}, {"id": 360002, "value": slots["browser"]}],
        )
        ticket["via"]["channel"] = rng.choice(("web", "email", "email", "api", "chat"))
        return ticket

    def _comment(self, ticket: Json, number: int, author: int, text: str, public: bool, when: int) -> Json:
        paragraphs = "".join(f"<p>{html.escape(p)}</p>" for p in text.split("\n\n"))
        return {
            "id": ticket["id"] * 1000 + number * 20 + 5,
            "type": "Comment",
            "author_id": author,
            "body": text,
            "html_body": f'<div class="zd-comment" dir="auto">{paragraphs}</div>',
            "plain_body": text,
            "public": public,
            "attachments": self._files(ticket, number),
            "audit_id": ticket["id"] * 1000 + number * 20,
            "via": {"channel": ticket["via"]["channel"], "source": {"from": {}, "to": {}, "rel": None}},
            "created_at": iso(when),
            "metadata": {"system": {"client": "Larkspur", "location": "Copenhagen"}, "custom": {}},
        }

    def _files(self, ticket: Json, number: int) -> list[Json]:
        """The files of a comment: every ninth ticket came with a screenshot."""
        if number or ticket["id"] % 9:
            return []
        file = {"id": 5_000_000 + ticket["id"], "file_name": f"screenshot-{ticket['id']}.png", "size": 61_440}
        return [
            {
                **file,
                "content_type": "image/png",
                "content_url": f"{API}/attachments/token/{file['id']}",
                "inline": False,
            }
        ]

    def _conversation(self, ticket: Json) -> list[Json]:
        created, updated = seconds_of(ticket["created_at"]), seconds_of(ticket["updated_at"])
        out = [self._comment(ticket, 0, ticket["requester_id"], ticket["description"], True, created)]
        if ticket["assignee_id"] is None:
            return out
        _, problem = self._problem_of(ticket["id"])
        rng = random.Random(f"{self.seed}:conversation:{ticket['id']}")
        slots = self._slots(rng, "your company")
        count = rng.choice((1, 2, 2, 3, 4))
        for n in range(1, count + 1):
            when = created + (updated - created) * n // count
            text, author, public = rng.choice(ANSWERS), ticket["requester_id"], True
            if n % 2:
                text, author = rng.choice(REPLIES), ticket["assignee_id"]
                if n == 3 and rng.random() < 0.5:
                    text, public = rng.choice(NOTES), False
            text = text.format(**slots, step=rng.choice(problem.steps), cause=problem.cause)
            out.append(self._comment(ticket, n, author, text, public, when))
        return out

    def chapters(self, address: str = HELP_CENTER, first: int = 0) -> tuple[list[Json], list[Json]]:
        """The categories and sections of a help center; `first` is added to their ids."""
        categories: list[Json] = []
        sections: list[Json] = []
        for i, (name, topics) in enumerate(CATEGORIES.items()):
            shared: Json = {"locale": "en-us", "source_locale": "en-us", "outdated": False, "description": ""}
            category = 2100 + first + i
            place = f"{address}/categories/{category}"
            categories.append(
                self._object("help_center/categories", category, name=name, position=i, html_url=place, **shared)
            )
            for topic in topics:
                number = 2200 + first + len(sections)
                place = f"{address}/sections/{number}"
                sections.append(
                    self._object("help_center/sections", number, name=topic, position=len(sections), html_url=place,
                                 category_id=category, theme_template="section_page", **shared)
                )  # fmt: skip
        return categories, sections

    def article(self, i: int, problem: Problem, sections: list[Json], address: str, first: int = 0) -> Json:
        """Article number `i` of a help center; beyond the sixty problems they repeat under another title."""
        number = 36000100 + first + i
        section = next(s["id"] for s in sections if s["name"] == problem.topic)
        created = BEGIN + i * 50000 % 22_000_000
        title = problem.title + (f" ({i // len(self.problems) + 1})" if i >= len(self.problems) else "")
        body = _explained(problem)
        place = i % len(self.problems)
        if i % 5 == 4:
            # The last article of a topic is its guide: long enough for several chunks.
            body = f"<p>All you need to know about {html.escape(problem.topic.lower())}, in one place.</p>" + "".join(
                f"<h1>{html.escape(p.title)}</h1>{_explained(p)}" for p in self.problems[place - 4 : place + 1]
            )
        return self._object(
            "help_center/en-us/articles",
            number,
            created=created,
            updated=created + 86400 * (i % 30),
            html_url=f"{address}/articles/{number}-{slug(title)}",
            author_id=9000 + i % len(AGENTS),
            comments_disabled=False,
            draft=False,
            promoted=i % 9 == 0,
            position=i,
            vote_sum=i % 13,
            vote_count=i % 17 + i % 13,
            section_id=section,
            name=title,
            title=title,
            source_locale="en-us",
            locale="en-us",
            outdated=False,
            outdated_locales=[],
            edited_at=iso(created + 86400 * (i % 30)),
            user_segment_id=None,
            permission_group_id=1,
            content_tag_ids=[],
            label_names=[slug(problem.topic)],
            body=body,
        )


def _explained(problem: Problem) -> str:
    """The HTML of an article."""
    steps = "".join(f"<li>{html.escape(s)}</li>" for s in problem.steps)
    code = f"<h2>Example</h2><pre><code>{html.escape(problem.code)}</code></pre>" if problem.code else ""
    slots = {"n": "several", "day": "some day", "month": "a month", "who": "A colleague", "browser": "the browser",
             "file": "a file", "amount": "an amount", "org": "the company", "code": "LK-0000"}  # fmt: skip
    seen = "".join(f"<li>{html.escape(s.format(**slots))}</li>" for s in problem.subjects)
    return (
        f"<p>{html.escape(problem.cause)}</p>"
        f"<h2>How to tell</h2><p>{html.escape(problem.symptom.format(**slots))}</p><ul>{seen}</ul>"
        f"<h2>What to do</h2><ol>{steps}</ol>{code}"
        '<h2>Still stuck?</h2><p>Write to us by the <a href="/hc/en-us/requests/new">support form</a> and name the '
        "workspace, the time and, if you can, a screenshot.</p>"
    )


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def seconds_of(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())
