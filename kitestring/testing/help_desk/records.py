"""Smaller things that the sample help desk keeps beside tickets: surveys, side conversations, identities, logs."""

from __future__ import annotations

from kitestring.testing.help_desk.desk import HelpDesk
from kitestring.testing.help_desk.objects import API, BEGIN, Json, iso, seconds_of


def identities(desk: HelpDesk, user: Json) -> list[Json]:
    """How a person is known: an email address, and for every fourth a phone number."""
    rows = [("email", user["email"])] + ([("phone_number", f"+45{user['id']:08}")] if user["id"] % 4 == 0 else [])
    return [
        {
            "id": user["id"] * 10 + n,
            "url": f"{API}/users/{user['id']}/identities/{user['id'] * 10 + n}.json",
            "user_id": user["id"],
            "type": kind,
            "value": value,
            "verified": True,
            "primary": n == 0,
            "undeliverable_count": 0,
            "deliverable_state": "deliverable",
            "created_at": user["created_at"],
            "updated_at": user["created_at"],
        }
        for n, (kind, value) in enumerate(rows)
    ]


def audit_logs(desk: HelpDesk) -> list[Json]:
    """The changes by administrators, newest first."""
    return [
        {
            "id": 498_000 + n,
            "url": f"{API}/audit_logs/{498_000 + n}.json",
            "action": "update",
            "action_label": "Updated",
            "actor_id": desk.users[0]["id"],
            "actor_name": desk.users[0]["name"],
            "change_description": f"Role changed to {user['role']}",
            "created_at": user["created_at"],
            "ip_address": "198.51.100.7",
            "source_id": user["id"],
            "source_label": user["name"],
            "source_type": "user",
        }
        for n, user in sorted(enumerate(desk.users), key=lambda row: (row[1]["created_at"], row[0]), reverse=True)
    ]


def skips(desk: HelpDesk) -> list[Json]:
    """Tickets that agents passed over in Guided mode."""
    rows = [t for t in desk.live_tickets() if t["id"] % 40 == 1]
    return [
        {"id": 7000 + t["id"], "ticket_id": t["id"], "user_id": 9001, "reason": "I have no idea.", "ticket": t,
         "created_at": t["created_at"], "updated_at": t["created_at"]}
        for t in rows
    ]  # fmt: skip


def activities(desk: HelpDesk) -> list[Json]:
    """The activity on the agent's own tickets in the last 30 days."""
    since = desk.now - 30 * 86400
    rows = [t for t in desk.live_tickets() if t["assignee_id"] == 9000 and seconds_of(t["updated_at"]) > since]
    return [
        {"id": 8000 + t["id"], "url": f"{API}/activities/{8000 + t['id']}.json", "title": f"Ticket #{t['id']} is yours",
         "verb": "tickets.assignment", "user_id": 9000, "actor_id": 9001, "user": {"id": 9000}, "actor": {"id": 9001},
         "object": {}, "target": {"ticket": {"id": t["id"]}}, "created_at": t["updated_at"],
         "updated_at": t["updated_at"]}
        for t in rows
    ]  # fmt: skip


def attributes() -> list[Json]:
    """The skills that tickets are routed by."""
    when = iso(BEGIN)
    return [
        {"id": f"15821cba-7326-11e8-b07e-{n:012}", "name": name, "created_at": when, "updated_at": when,
         "url": f"{API}/routing/attributes/15821cba-7326-11e8-b07e-{n:012}.json"}
        for n, name in enumerate(("Language", "Product"))
    ]  # fmt: skip


def survey_responses(desk: HelpDesk) -> list[tuple[int, Json]]:
    """The survey response of every rated ticket, with the second it was offered: the API does not show that."""
    out = []
    for rating in desk.ratings():
        number, when = f"01J{rating['id']:023}", rating["updated_at"].replace("Z", ".000Z")
        answers: list[Json] = []
        if rating["score"] in ("good", "bad"):
            stars = {"created_at": when, "updated_at": when, "type": "rating_scale",
                     "rating_category": rating["score"], "rating": 5 if rating["score"] == "good" else 1,
                     "question": {"id": "01Q1", "type": "rating_scale_numeric"}}  # fmt: skip
            comments = {"created_at": when, "updated_at": when, "type": "open_ended", "value": rating["comment"],
                     "question": {"id": "01Q2", "type": "open_ended", "alias": "comment"}}  # fmt: skip
            answers = [stars, comments]
        subject = {"id": str(rating["ticket_id"]), "type": "ticket", "zrn": f"zen:ticket:{rating['ticket_id']}"}
        out.append(
            (
                seconds_of(rating["created_at"]),
                {
                    "id": number,
                    "answers": answers,
                    "expires_at": iso(seconds_of(rating["created_at"]) + 2592000).replace("Z", ".000Z"),
                    "responder_id": rating["requester_id"],
                    "subject_zrns": [subject["zrn"]],
                    "subjects": [subject],
                    "survey": {"id": "01S1", "state": "enabled", "version": 3},
                },
            )
        )
    return out


def side_conversations(desk: HelpDesk, ticket: Json) -> list[Json]:
    """The talk with people outside of the help desk about a ticket: every twentieth has one."""
    if ticket["id"] % 20:
        return []
    number, when = f"8566255a-ece5-11e8-857d-{ticket['id']:012}", ticket["created_at"].replace("Z", ".000+00:00")
    return [
        {
            "id": number,
            "url": f"{API}/tickets/{ticket['id']}/side_conversations/{number}.json",
            "ticket_id": ticket["id"],
            "subject": f"About: {ticket['subject']}",
            "preview_text": "Can you have a look at this?",
            "state": "open",
            "participants": [{"user_id": 9000, "name": "Ada", "email": "agent@larkspur.example"}],
            "external_ids": {},
            "created_at": when,
            "updated_at": when,
            "message_added_at": when,
            "state_updated_at": when,
        }
    ]


def side_conversation_events(conversation: Json) -> list[Json]:
    """The messages of a side conversation."""
    person = {"user_id": 9000, "name": "Ada", "email": "agent@larkspur.example"}
    reply = f"Yes: case {conversation['ticket_id']} is known to us."
    return [
        {
            "id": f"{conversation['id'][:-1]}{n}",
            "url": f"{conversation['url'].removesuffix('.json')}/events/{n}.json",
            "side_conversation_id": conversation["id"],
            "ticket_id": conversation["ticket_id"],
            "type": kind,
            "via": "support",
            "created_at": conversation["created_at"],
            "actor": person,
            "message": {"subject": conversation["subject"], "preview_text": text[:20], "body": text, "from": person,
                        "html_body": f"<p>{text}</p>", "to": [{"email": "supplier@elsewhere.example"}]},
            "updates": {},
        }
        for n, (kind, text) in enumerate((("create", "Can you have a look at this?"), ("reply", reply)))
    ]  # fmt: skip
