"""A stand-in for HubSpot: the CRM with its searches, associations and deletions, forms, e-mails, tokens and limits.

By hand: `python -m stand_ins.hubspot --port 8080` prints its address; the token is pat-larkspur. Facts:
developers.hubspot.com/docs/api-reference (version 2026-03: search the CRM, associations, properties, owners, OAuth;
forms v3), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, END
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]

TOKEN, CLIENT, SECRET = "pat-larkspur", "larkspur-app", "larkspur-secret"
COUNTS = {"tickets": 450, "notes": 230, "emails": 30, "calls": 20, "meetings": 10, "tasks": 25, "communications": 6,
          "postal_mail": 2, "feedback_submissions": 9, "contacts": 320, "companies": 40, "deals": 60, "products": 15,
          "line_items": 12, "leads": 8, "goal_targets": 3, "p_vehicles": 14}  # fmt: skip
MOST = 10_000
"""A search gives no more results than these."""
TIED = {"tickets": ("contacts", "companies", "deals"), "deals": ("contacts", "companies"), "contacts": ("companies",),
        "leads": ("contacts",), "line_items": ("deals",), "p_vehicles": ("contacts",),
        **dict.fromkeys(("notes", "emails", "calls", "meetings", "tasks", "communications", "postal_mail",
                         "feedback_submissions"), ("contacts", "tickets"))}  # fmt: skip
"""Which kinds the objects of a kind are tied to: object n to object n of the other kind, where there is one."""
PART = 3
"""The number of an object's associations in one answer."""


class HubSpotStandIn(PagedApi):
    """HubSpot on 127.0.0.1. `forbidden` names pieces of paths whose scope the app lacks, `most` limits a search."""

    name: ClassVar[str] = "HubSpot stand-in"
    bearer: ClassVar[str] = TOKEN
    token_path: ClassVar[str] = "/oauth/2026-03/token"
    page_parameters: ClassVar[tuple[str, str]] = ("limit", "after")
    page_size: ClassVar[int] = 10
    reports_limits: ClassVar[bool] = False
    refusals: ClassVar[Mapping[int, str]] = {
        401: "Authentication credentials not found.",
        403: "This app hasn't been granted all required scopes to make this call.",
    }

    def __init__(self, *, most: int = MOST, **options: Any) -> None:
        super().__init__(**options)
        self.most = most
        self.now = END
        # Access tokens live half an hour; an answer to a refresh repeats the refresh token.
        self.tokens = TokenEndpoint(
            {CLIENT: SECRET}, lifetime_s=1800, rotation="kept", sent_as=("form",), client_in=("body",), prefix="hubspot"
        )
        texts = problems()
        self.objects: dict[str, dict[int, Json]] = {
            kind: {
                n: {"changed": BEGIN + n * 1000, "subject": texts[n % 60].title, "content": texts[n % 60].cause,
                    "our_own_field": f"value {n}", "hs_object_id": str(n)}
                for n in range(1, count + 1)
            }
            for kind, count in COUNTS.items()
        }  # fmt: skip
        self.archived: dict[str, dict[int, int]] = {kind: {} for kind in COUNTS}
        """When objects were deleted, by kind and id."""
        self.associations: dict[tuple[str, str], dict[int, list[int]]] = {
            (kind, other): {n: [n] for n in self.objects[kind] if n in self.objects[other] and n % 2}
            for kind, kinds in TIED.items()
            for other in kinds
        }
        self.owners_archived = [131, 132]
        self.threads = {
            str(n): {"id": str(n), "createdAt": iso_ms(BEGIN), "status": "OPEN", "inboxId": "1", "archived": False,
                     "associatedContactId": str(n), "threadAssociations": {"associatedTicketId": str(n)},
                     "latestMessageTimestamp": iso_ms(BEGIN + n // 3 * 1000)}
            for n in range(1, 231)
        }  # fmt: skip
        self.messages = {key: [self._message(key, BEGIN, i) for i in range(int(key) % 3)] for key in self.threads}
        self.forms = [self._stamped(f"form-{n}", name=f"Form {n}", formType="hubspot", fieldGroups=[]) for n in (1, 2)]
        self.submissions = {
            "form-1": [self._submission(n) for n in range(120)],
            "form-2": [self._submission(200)],
        }
        self.events = 1100
        self.changes = 40
        self.emails = [
            self._stamped(str(n), name=f"Letter {n}", subject=f"News {n}", updatedAt=iso_ms(BEGIN + n * 1000),
                          content={"widgets": {"body": {"html": f"<p>{texts[n % 60].cause}</p>"}}})
            for n in range(130)
        ]  # fmt: skip

    @property
    def config(self) -> Json:
        """A configuration of the source `hubspot` that reads this server."""
        return {
            "credentials": {"credentials_title": "Private App Credentials", "access_token": TOKEN},
            "start_date": "2025-01-01T00:00:00Z",
            "base_url": self.url,
            "searches_per_second": 60_000,
            "calls_per_10_seconds": 60_000,
        }

    def oauth(self, refresh_token: str) -> Json:
        """The credentials of an OAuth app, as a consent leaves them."""
        return {"credentials_title": "OAuth Credentials", "client_id": CLIENT, "client_secret": SECRET,
                "refresh_token": refresh_token}  # fmt: skip

    def touch(self, kind: str, number: int, **properties: str) -> None:
        self.now += 600
        self.objects[kind][number].update(properties, changed=self.now)

    def delete(self, kind: str, number: int) -> None:
        """Move an object to the recycling bin: its last change stays where it was."""
        self.now += 600
        self.archived[kind][number] = self.now

    def submit(self, form: str) -> Json:
        self.now += 600
        submission = {**self._submission(len(self.submissions[form]) + 1000), "submittedAt": self.now * 1000}
        self.submissions[form].append(submission)
        return submission

    def add_message(self, thread: str, text: str, kind: str = "MESSAGE") -> Json:
        """A message, or a comment: that does not move the time of the thread's last message."""
        self.now += 600
        message = {**self._message(thread, self.now, 90 + len(self.messages[thread])), "text": text, "type": kind}
        self.messages[thread].append(message)
        if kind == "MESSAGE":
            self.threads[thread]["latestMessageTimestamp"] = message["createdAt"]
        return message

    # Credentials, errors and rate limits

    def refuse(self, status: int, message: str) -> Answer:
        category = {401: "INVALID_AUTHENTICATION", 403: "MISSING_SCOPES", 404: "OBJECT_NOT_FOUND"}
        members = {"errorType": "RATE_LIMIT", "policyName": "SECONDLY"} if status == 429 else {}
        return Answer(
            status, {"status": "error", "message": message, "category": category.get(status, "RATE_LIMITS"), **members}
        )

    def rate_limited(self, wait_s: float) -> Answer:
        return self.refuse(429, "You have reached your secondly limit.")

    def grant(self, call: Call) -> Answer:
        # Parameters in the address are refused: they would end in logs.
        return self.refuse(400, "parameters belong into the body") if call.params else self.tokens.answer(call)

    # The CRM

    @route("POST", "/crm/objects/2026-03/{kind}/search")
    def search(self, call: Call, kind: str) -> Any:
        if kind not in self.objects:
            return self.refuse(404, "Unable to infer object type")
        body = call.json()
        modified = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
        rows = [(n, row) for n, row in self.objects[kind].items()
                if n not in self.archived[kind]
                and all(_holds(f, {**row, modified: row["changed"] * 1000}) for f in body["filterGroups"][0]["filters"])
                ]  # fmt: skip
        (order,) = body["sorts"]
        rows.sort(key=lambda row: row[0] if order["propertyName"] == "hs_object_id" else row[1]["changed"])
        size, begin = body["limit"], int(body.get("after", 0))
        if size > 200 or begin + size > self.most:
            return self.refuse(400, "There was a problem with the request.")
        property_names = set(body["properties"])
        answer: Json = {
            "total": len(rows),
            "results": [self._object(n, row, property_names) for n, row in rows[begin : begin + size]],
        }
        if begin + size < len(rows):
            answer["paging"] = {"next": {"after": str(begin + size)}}
        return answer

    @route("GET", "/crm/objects/2026-03/{kind}")
    def object_list(self, call: Call, kind: str) -> Any:
        if call.body or call.param("archived") != "true" or kind not in self.objects:
            return self.refuse(400, "There was a problem with the request.")
        rows = [
            {**self._object(n, self.objects[kind][n], {"hs_object_id"}), "archived": True, "archivedAt": iso_ms(at)}
            for n, at in sorted(self.archived[kind].items())
        ]
        return self._page(call, rows)

    @route("POST", "/crm/associations/2026-03/{kind}/{other}/batch/read")
    def association_list(self, call: Call, kind: str, other: str) -> Any:
        inputs = call.json()["inputs"]
        if not inputs or len(inputs) > 1000:
            return self.refuse(400, "The batch needs 1 to 1000 inputs.")
        tied = self.associations.get((kind, other), {})
        results, errors = [], []
        for each in inputs:
            numbers, begin = tied.get(int(each["id"]), []), int(each.get("after", 0))
            if not numbers:
                errors.append({"status": "error", "category": "OBJECT_NOT_FOUND",
                               "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                               "message": f"No {other} is associated with {kind} {each['id']}."})  # fmt: skip
                continue
            row: Json = {"from": {"id": each["id"]}, "to": [
                {"toObjectId": n, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 1, "label": None}]}
                for n in numbers[begin : begin + PART]]}  # fmt: skip
            if begin + PART < len(numbers):
                row["paging"] = {"next": {"after": str(begin + PART)}}
            results.append(row)
        failures = {"numErrors": len(errors), "errors": errors} if errors else {}
        return Answer(207 if errors else 200, {"status": "COMPLETE", "results": results, **failures})

    @route("POST", "/crm/objects/2026-03/{kind}/batch/read")
    def batch(self, call: Call, kind: str) -> Any:
        body = call.json()
        numbers = [int(each["id"]) for each in body["inputs"]]
        if not 1 <= len(numbers) <= 50:
            return self.refuse(400, "histories of 1 to 50 objects")
        results = [
            {**self._object(n, self.objects[kind][n], set(body["properties"])), "propertiesWithHistory": {
                name: [{"value": self.objects[kind][n].get(name), "timestamp": iso_ms(BEGIN), "sourceType": "CRM_UI"}]
                for name in body["propertiesWithHistory"]}}
            for n in numbers if n in self.objects[kind]
        ]  # fmt: skip
        return {"status": "COMPLETE", "results": results}

    @route("GET", "/crm/properties/2026-03/{kind}")
    def properties(self, call: Call, kind: str) -> Any:
        names = ("subject", "content", "our_own_field", "hs_object_id")
        return {"results": [{"name": name, "label": name, "type": "string"} for name in names]}

    @route("GET", "/crm/owners/2026-03")
    def owners(self, call: Call) -> Any:
        archived = call.param("archived") == "true"
        rows = [self._stamped(str(n), type="PERSON", email=f"o{n}@larkspur.example", firstName=FIRST_NAMES[n % 30],
                              userId=n, archived=archived)
                for n in (self.owners_archived if archived else range(130))]  # fmt: skip
        return self._page(call, rows)

    @route("GET", "/crm/pipelines/2026-03/{kind}")
    def pipelines(self, call: Call, kind: str) -> Any:
        row = self._stamped("0", label="Support", displayOrder=0, stages=[{"id": "1", "label": "New"}])
        return {"results": [row]}

    @route("POST", "/crm/lists/2026-03/search")
    def list_search(self, call: Call) -> Any:
        body = call.json()
        begin, size = int(body.get("offset", 0)), body["count"]
        rows = [{"listId": str(n), "name": f"List {n}", "objectTypeId": "0-1", "processingType": "MANUAL",
                 "createdAt": iso_ms(BEGIN), "updatedAt": iso_ms(BEGIN)} for n in range(1, 124)]  # fmt: skip
        has_more = begin + size < len(rows)
        return {"lists": rows[begin : begin + size], "offset": begin + size, "hasMore": has_more, "total": len(rows)}

    # The inbox

    @route("GET", "/conversations/conversations/2026-09/threads")
    def thread_list(self, call: Call) -> Any:
        since = call.param("latestMessageTimestampAfter")
        if call.param("sort") != "latestMessageTimestamp" or not since:
            return self.refuse(400, "sort by latestMessageTimestamp needs latestMessageTimestampAfter")
        rows = sorted(self.threads.values(), key=lambda row: (str(row["latestMessageTimestamp"]), row["id"]))
        return self._page(call, [row for row in rows if str(row["latestMessageTimestamp"]) > since.replace("Z", "~")])

    @route("GET", "/conversations/conversations/2026-09/threads/{thread}/messages")
    def message_list(self, call: Call, thread: str) -> Any:
        if thread not in self.messages:
            return self.refuse(404, "Thread not found")
        return self._page(call, self.messages[thread])

    # Marketing

    @route("GET", "/marketing/v3/forms")
    def form_list(self, call: Call) -> Any:
        return self._page(call, self.forms if call.param("formTypes") == "all" else self.forms[:1])

    @route("GET", "/form-integrations/v1/submissions/forms/{form}")
    def submission_list(self, call: Call, form: str) -> Any:
        if form not in self.submissions:
            return self.refuse(404, "No form with that id")
        return self._page(call, sorted(self.submissions[form], key=lambda row: -row["submittedAt"]), most=50)

    @route("GET", "/marketing/emails/2026-03")
    def email_list(self, call: Call) -> Any:
        archived = call.param("archived") == "true"
        rows = [row for row in self.emails
                if row["archived"] == archived and row["updatedAt"] >= call.param("updatedAfter")]  # fmt: skip
        return {**self._page(call, rows), "total": len(rows)}

    @route("GET", "/email/public/v1/events")
    def event_list(self, call: Call) -> Any:
        rows = [{"id": f"event-{n}", "created": (BEGIN + n * 600) * 1000, "type": "OPEN", "portalId": 1,
                 "recipient": f"c{n % 30}@northwind.example"} for n in range(self.events)]  # fmt: skip
        return self._log(call, "events", "created", rows)

    @route("GET", "/email/public/v1/subscriptions/timeline")
    def timeline(self, call: Call) -> Any:
        rows = [{"timestamp": (BEGIN + n * 600) * 1000, "portalId": 1, "recipient": f"c{n % 30}@northwind.example",
                 "changes": [{"change": "SUBSCRIBED", "subscriptionId": n}]} for n in range(self.changes)]  # fmt: skip
        return self._log(call, "timeline", "timestamp", rows)

    @route("GET", "/email/public/v1/subscriptions")
    def subscriptions(self, call: Call) -> Any:
        return {
            "subscriptionDefinitions": [{"id": 1, "portalId": 1, "name": "News", "description": "", "active": True}]
        }

    @route("GET", "/automation/v3/workflows")
    def workflows(self, call: Call) -> Any:
        return {"workflows": [{"id": 1, "name": "Welcome", "type": "DRIP_DELAY", "enabled": True, "updatedAt": 1}]}

    def _log(self, call: Call, field: str, time: str, rows: list[Json]) -> Json:
        """Events since a moment, the latest first."""
        size, begin = int(call.param("limit", "10")), int(call.param("offset", "0"))
        rows = [row for row in reversed(rows) if row[time] >= int(call.param("startTimestamp"))]
        return {field: rows[begin : begin + size], "hasMore": begin + size < len(rows), "offset": str(begin + size)}

    @route("GET", "/marketing/campaigns/2026-03")
    def campaign_list(self, call: Call) -> Any:
        rows = [{**self._stamped("c1"), "properties": {name: name for name in call.param("properties").split(",")}}]
        return self._page(call, rows)

    def _page(self, call: Call, rows: list[Json], most: int = 100) -> Json:
        page = self.page_of(call, rows)
        if page.size > most:
            raise AssertionError(f"a page of {page.size}")
        paging = {"paging": {"next": {"after": str(page.following)}}} if page.following else {}
        return {"results": page.rows, **paging}

    def _object(self, number: int, row: Json, property_names: set[str]) -> Json:
        properties = {k: v for k, v in row.items() if k in property_names}
        return {**self._stamped(str(number), updatedAt=iso_ms(row["changed"])), "properties": properties}

    def _stamped(self, number: str, **fields: Any) -> Json:
        return {"id": number, "createdAt": iso_ms(BEGIN), "updatedAt": iso_ms(BEGIN), "archived": False, **fields}

    def _message(self, thread: str, at: int, number: int) -> Json:
        return {"id": f"{thread}-{number}", "conversationsThreadId": thread, "type": "MESSAGE", "createdAt": iso_ms(at),
                "createdBy": "A-1", "senders": [], "recipients": [], "text": "It does not start.",
                "richText": "<p>It does not start.</p>", "attachments": [], "truncationStatus": "NOT_TRUNCATED",
                "archived": False}  # fmt: skip

    def _submission(self, number: int) -> Json:
        return {"conversionId": f"conversion-{number}", "submittedAt": (BEGIN + number * 3000) * 1000,
                "values": [{"name": "message", "value": f"Question {number}"}],
                "pageUrl": "https://larkspur.example/contact"}  # fmt: skip


def _holds(condition: Json, row: Json) -> bool:
    if not isinstance(condition["value"], str):
        raise AssertionError("values of filters are texts")
    value, low = int(row[condition["propertyName"]]), int(condition["value"])
    return low <= value <= int(condition["highValue"]) if condition["operator"] == "BETWEEN" else value > low


def iso_ms(seconds: int) -> str:
    """HubSpot's timestamp."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


if __name__ == "__main__":
    run(HubSpotStandIn)
