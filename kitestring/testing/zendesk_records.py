"""The smaller lists of the stand-in for Zendesk: surveys, side conversations, logs, skills, skips and activities."""

from __future__ import annotations

from typing import Any

from kitestring.testing.help_desk import records
from kitestring.testing.stand_in import Call, route
from kitestring.testing.zendesk_guide import Guide
from kitestring.testing.zendesk_paging import integer


class Records(Guide):
    """Answers for the lists besides tickets, people and articles."""

    @route("GET", "/api/v2/guide/survey_responses")
    def survey_responses(self, call: Call) -> Any:
        since = int(call.param("filter[created_at_start]", "0")) // 1000
        rows = [row for offered, row in records.survey_responses(self.desk) if offered >= since]
        return self.listed(call, "survey_responses", rows)

    @route("GET", "/api/v2/tickets/{number}/side_conversations")
    def side_conversations(self, call: Call, number: str) -> Any:
        ticket = self.desk.tickets.get(integer(number))
        if ticket is None or ticket["status"] == "deleted":
            return self.refuse(404, "Not found")
        return self.listed(call, "side_conversations", records.side_conversations(self.desk, ticket))

    @route("GET", "/api/v2/tickets/{number}/side_conversations/{conversation}/events")
    def side_conversation_events(self, call: Call, number: str, conversation: str) -> Any:
        ticket = self.desk.tickets.get(integer(number), {"id": 1})
        conversations = {row["id"]: row for row in records.side_conversations(self.desk, ticket)}
        if conversation not in conversations:
            return self.refuse(404, "Not found")
        return self.listed(call, "events", records.side_conversation_events(conversations[conversation]))

    @route("GET", "/api/v2/routing/attributes")
    def routing_attributes(self, call: Call) -> Any:
        rows = records.attributes()
        return {"attributes": rows, "count": len(rows), "next_page": None, "previous_page": None}

    @route("GET", "/api/v2/routing/attributes/definitions")
    def routing_definitions(self, call: Call) -> Any:
        rows = [
            {"subject": subject, "title": title, "type": "list", "group": "ticket", "nullable": False,
             "repeatable": False, "operators": [{"value": "is", "title": "Is", "terminal": False}], "values": []}
            for subject, title in (("brand", "Brand"), ("priority", "Priority"))
        ]  # fmt: skip
        return {"definitions": {"conditions_all": rows, "conditions_any": rows[:1]}}
