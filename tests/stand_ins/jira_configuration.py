"""The lists of a Jira site beside its issues, as the stand-in has them: path → (name of the list in a page, rows).

Facts: developer.atlassian.com/cloud/jira/platform/rest/v3, read 2026-11. A page of "values" has a place and an end, the
others come whole; an empty name is a list by itself, `{}` one object.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def named(kind: str, count: int, number: bool = False, **fields: Any) -> list[Row]:
    """Rows with an id, a name and a description; ids are texts where `number` is not set, as Jira has both."""
    return [
        {
            "id": n if number else str(n),
            "name": f"{kind} {n}",
            "description": f"What {kind.lower()} {n} is for",
            **fields,
        }
        for n in range(1, count + 1)
    ]


PERMISSION = {"id": 1, "type": "group", "group": {"name": "agents", "groupId": "g-1"}}
LISTS: dict[str, tuple[str, list[Row]]] = {
    "field": ("", [{"id": "summary", "name": "Summary", "custom": False}, *(
        {"id": f"customfield_{n}", "name": f"Field {n}", "custom": True} for n in (10010, 10011))]),
    "issuetype": ("", named("Type", 3, subtask=False)),
    "status": ("", named("Status", 3, statusCategory={"id": 2, "key": "new"})),
    "issueLinkType": ("issueLinkTypes", [
        {"id": "1", "name": "Blocks", "inward": "is blocked by", "outward": "blocks"}]),
    "priority/search": ("values", named("Priority", 5, isDefault=False, statusColor="#fff", iconUrl="")),
    "resolution/search": ("values", named("Resolution", 4, isDefault=False)),
    "filter/search": ("values", named("Filter", 55, jql="project = WEB", owner={"accountId": "user-1"})),
    "filter/1/permission": ("", [PERMISSION, {**PERMISSION, "id": 2, "type": "loggedin"}]),
    "dashboard/search": ("values", named("Dashboard", 60, isFavourite=False, popularity=1)),
    "group/bulk": ("values", [{"name": f"team {n}", "groupId": f"g-{n}"} for n in range(55)]),
    "projectCategory": ("", named("Category", 2)),
    "project/1/email": ("{}", [{"emailAddress": "jira@larkspur.atlassian.net", "emailAddressStatus": []}]),
    "project/1/securitylevel": ("levels", [{"id": "1", "name": "Private", "description": "For agents", "self": ""}]),
    "role": ("", named("Role", 3, number=True, admin=False, default=True, actors=[])),
    "project/type": ("", [{"key": "software", "formattedKey": "Software", "icon": "", "color": "#fff"}]),
    "screens": ("values", named("Screen", 3, number=True)),
    "screens/1/tabs": ("", [{"id": 10, "name": "Fields"}, {"id": 11, "name": "More"}]),
    "screens/1/tabs/10/fields": ("", [{"id": "summary", "name": "Summary"}, {"id": "labels", "name": "Labels"}]),
    "screens/2/tabs": ("", [{"id": 12, "name": "Fields"}]),
    "screenscheme": ("values", named("Screen scheme", 2, number=True, screens={"default": 1})),
    "issuetypescheme": ("values", named("Type scheme", 2, defaultIssueTypeId="1")),
    "issuetypescreenscheme": ("values", named("Type screen scheme", 2)),
    "fieldconfiguration": ("values", named("Field configuration", 2, number=True, isDefault=True)),
    "notificationscheme": ("values", named("Notification scheme", 2, number=True, notificationSchemeEvents=[])),
    "issuesecurityschemes": ("issueSecuritySchemes", named("Security scheme", 2, number=True)),
    "permissionscheme": ("permissionSchemes", named("Permission scheme", 2, number=True, permissions=[])),
    "workflows/search": ("values", named("Workflow", 3, isEditable=True, statuses=[], transitions=[])),
    "workflowscheme": ("values", named("Workflow scheme", 2, number=True, defaultWorkflow="jira")),
    "statuscategory": ("", [{"id": 2, "key": "new", "name": "To Do", "colorName": "blue-gray"}]),
    "applicationrole": ("", [{"key": "jira-software", "name": "Jira", "groups": ["agents"], "userCount": 5}]),
    "configuration/timetracking/list": ("", [{"key": "JIRA", "name": "JIRA provided time tracking", "url": ""}]),
    "application-properties": ("", [{"id": "jira.title", "key": "jira.title", "value": "Larkspur", "type": "string"}]),
    "field/customfield_10010/context": ("values", named("Context", 2, isGlobalContext=True, isAnyIssueType=True)),
    "field/customfield_10010/context/1/option": ("values", [
        {"id": str(n), "value": f"Option {n}", "disabled": False} for n in range(1, 61)]),
}  # fmt: skip
LABELS = [f"label-{n}" for n in range(70)] + ["123", "true"]
"""Texts, some of which look like something else."""
PERMISSIONS = {key: {"key": key, "name": key.title(), "type": "PROJECT", "description": ""}
               for key in ("BROWSE_PROJECTS", "ADD_COMMENTS")}  # fmt: skip
