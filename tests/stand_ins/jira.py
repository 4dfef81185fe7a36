"""A stand-in for Jira Cloud's REST API: two projects with issues, comments and worklogs.

Facts: developer.atlassian.com/cloud/jira/platform/rest/v3 (search by JQL with page tokens, lists by startAt, refused
credentials), read 2026-11.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso, seconds_of
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.atlassian import CLOUD_ID, EMAIL, SITE, AtlassianStandIn
from stand_ins.command_line import run
from stand_ins.jira_configuration import LABELS, LISTS, PERMISSIONS

Json = dict[str, Any]
HOUR = 3600
SPRINTS = 15
JQL = re.compile(
    r"(?:project in \((?P<keys>[^)]*)\) and |project = (?P<id>\d+) and )?"
    r"updated >= (?P<since>\d+) order by updated (?P<order>asc|desc)"
)


def stamp(seconds: int) -> str:
    return iso(seconds).replace("Z", ".000+0000")


def person(n: int) -> Json:
    return {"accountId": f"user-{n}", "displayName": f"User {n}", "active": True}


def document(text: str) -> Json:
    """A text in the Atlassian Document Format."""
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": text}]}
    return {"type": "doc", "version": 1, "content": [paragraph]}


class JiraStandIn(AtlassianStandIn):
    """`server.config` opens it. `now` moves on with each change, and every change of an issue moves its `updated`."""

    name: ClassVar[str] = "jira"
    product: ClassVar[str] = "jira"
    site_key: ClassVar[str] = "jira-token"

    def __init__(self, *, issues: int = 130, page: int = 50, people: int = 25, **options: Any) -> None:
        super().__init__(**options)
        self.page, self.people = page, people
        self.hidden: set[str] = set()
        """Keys of projects that the account may not see."""
        self.unbrowsable: set[str] = set()
        """Keys of projects that the account sees as an administrator, and may not search."""
        self.page_was_read: Callable[[], None] = lambda: None
        """Called behind each page of a search: what changes meanwhile."""
        self.refused = ""
        """The beginning of searches that are answered with 400."""
        self.left_out: tuple[str, ...] = ()
        """Marks of its end that a page of a search does without."""
        self.now = BEGIN
        self.projects = [self.project(1, "WEB"), self.project(2, "API")]
        self.boards: list[Json] = []
        for kind in ("scrum", "kanban"):
            self.add_board("WEB", kind)
        self.properties: dict[str, Json] = {}
        self.links: dict[str, list[Json]] = {}
        self.issues: dict[str, Json] = {}
        self.comments: dict[str, list[Json]] = {}
        self.worklogs: dict[str, list[Json]] = {}
        texts = problems()
        for n in range(1, issues + 1):
            problem = texts[n % len(texts)]
            number = self.add_issue("WEB" if n % 3 else "API", problem.title, problem.cause)["id"]
            for _ in range(n % 3):
                self.add_comment(number, problem.symptom)
            if n % 12 == 0:
                self.properties[number] = {"support": {"case": n}}
                self.links[number] = [
                    {"id": 70_000 + n, "object": {"url": f"https://crm.example/{n}", "title": f"Case {n}"}}
                ]
            if n % 10 == 0:
                self.worklogs[number].append({**self._entry(number, 40_000 + n), "timeSpentSeconds": 1800})

    @property
    def config(self) -> Json:
        return {"domain": SITE, "email": EMAIL, "api_token": self.site_key, "base_url": self.url,
                "calls_per_minute": 60_000}  # fmt: skip

    @property
    def scoped(self) -> Json:
        """For credentials that open the gateway only."""
        return {"domain": SITE, "cloud_id": CLOUD_ID, "base_url": self.url, "calls_per_minute": 60_000}

    def add_issue(self, project: str, summary: str, text: str) -> Json:
        self.now += HOUR
        number = str(10_000 + len(self.issues))
        place = next(p for p in self.projects if p["key"] == project)
        fields = {"summary": summary, "description": document(text), "project": {"id": place["id"], "key": project},
                  "created": stamp(self.now), "updated": stamp(self.now), "status": {"name": "To Do"}}  # fmt: skip
        self.issues[number] = {"id": number, "key": f"{project}-{len(self.issues) + 1}", "self": "", "fields": fields,
                               "renderedFields": {"description": f"<p>{text}</p>"}}  # fmt: skip
        self.comments[number], self.worklogs[number] = [], []
        return self.issues[number]

    def add_comment(self, number: str, text: str) -> Json:
        """A comment changes its issue."""
        self.now += 60
        entry = self._entry(number, 20_000 + sum(map(len, self.comments.values())))
        comment = {**entry, "body": document(text), "renderedBody": f"<p>{text}</p>", "jsdPublic": True}
        self.comments[number].append(comment)
        self.issues[number]["fields"]["updated"] = stamp(self.now)
        return comment

    def _entry(self, number: str, n: int) -> Json:
        return {"id": str(n), "self": "", "author": person(n % 5), "updateAuthor": person(n % 5),
                "created": stamp(self.now), "updated": stamp(self.now)}  # fmt: skip

    def project(self, n: int, key: str) -> Json:
        return {"id": str(n), "key": key, "name": f"Larkspur {key}", "description": "", "self": "", "lead": person(n),
                "projectTypeKey": "software", "simplified": False, "style": "classic", "isPrivate": False}  # fmt: skip

    def anonymous_answer(self) -> Answer:
        empty = {"issues": [], "values": [], "startAt": 0, "maxResults": 50, "total": 0, "isLast": True}
        return Answer(200, empty, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errorMessages": [message], "errors": {}})

    @route("GET", "/rest/api/3/search/jql")
    def search(self, call: Call) -> Any:
        query = JQL.fullmatch(call.param("jql"))
        if query is None or (self.refused and call.param("jql").startswith(self.refused)):
            return self.refuse(400, "Error in the JQL Query")
        visible = [p for p in self.projects if p["key"] not in self.hidden | self.unbrowsable]
        names = re.findall(r'"(\w+)"', query["keys"] or "") or [query["id"]] * (query["id"] is not None)
        unknown = [name for name in names if name not in {text for p in visible for text in (p["id"], p["key"])}]
        if unknown:
            return self.refuse(400, f"The value '{unknown[0]}' does not exist for the field 'project'.")
        keys = {p["key"] for p in visible if not names or {p["id"], p["key"]} & set(names)}
        rows = [
            issue
            for issue in self.issues.values()
            if issue["fields"]["project"]["key"] in keys and moment(issue) * 1000 >= int(query["since"])
        ]
        rows.sort(key=lambda issue: (moment(issue), issue["id"]), reverse=query["order"] == "desc")
        start = int(b64decode(call.param("nextPageToken", b64encode(b"0").decode())))
        end = start + min(self.page, int(call.param("maxResults", "50")))
        page = [self._selected_issue(issue, call) for issue in rows[start:end]]
        self.page_was_read()
        answer: Json = {"issues": page, "isLast": end >= len(rows)}
        if end < len(rows):
            answer["nextPageToken"] = b64encode(str(end).encode()).decode()
        return {name: value for name, value in answer.items() if name not in self.left_out}

    def _selected_issue(self, issue: Json, call: Call) -> Json:
        field_names = call.param("fields").split(",")
        fields = {k: v for k, v in issue["fields"].items() if field_names == ["*all"] or k in field_names}
        members = {k: v for k, v in issue.items() if k != "renderedFields" or call.param("expand") == "renderedFields"}
        return {**members, "fields": fields}

    @route("GET", "/rest/api/3/issue/{number}/comment")
    def comments_of(self, call: Call, number: str) -> Any:
        return self._paged(call, "comments", self.comments[number]) if number in self.issues else self._none()

    @route("GET", "/rest/api/3/issue/{number}/worklog")
    def worklogs_of(self, call: Call, number: str) -> Any:
        return self._paged(call, "worklogs", self.worklogs[number]) if number in self.issues else self._none()

    @route("GET", "/rest/api/3/project/search")
    def project_search(self, call: Call) -> Any:
        keys = call.params.get("keys", [])
        hidden = self.hidden | (self.unbrowsable if call.param("action") == "browse" else set())
        rows = [p for p in self.projects if p["key"] not in hidden and (not keys or p["key"] in keys)]
        return self._paged(call, "values", rows)

    @route("GET", "/rest/api/3/project/{number}/version")
    def versions(self, call: Call, number: str) -> Any:
        rows = [{"id": f"{number}0{n}", "projectId": int(number), "name": f"{n}.0", "released": n < 2} for n in (1, 2)]
        return self._paged(call, "values", rows)

    @route("GET", "/rest/api/3/project/{number}/component")
    def components(self, call: Call, number: str) -> Any:
        rows = [{"id": f"{number}00", "projectId": int(number), "name": "Import", "description": "Files that come in"}]
        return self._paged(call, "values", rows)

    @route("GET", "/rest/api/3/users/search")
    def users(self, call: Call) -> Any:
        """A page is filtered after it is cut, so any page may be short."""
        start = int(call.param("startAt", "0"))
        page = [person(n) for n in range(self.people)][start : start + int(call.param("maxResults", "50"))]
        return [user for user in page if user["accountId"] not in self.hidden]

    @route("GET", "/rest/api/3/issue/{number}")
    def issue(self, call: Call, number: str) -> Any:
        if number not in self.issues:
            return self._none()
        summary: Json = {"id": number, "key": self.issues[number]["key"], "self": "", "expand": ""}
        properties = self.properties.get(number, {})
        return {
            **summary,
            "fields": {"created": ""},
            "properties": properties if call.param("properties") == "*all" else {},
        }

    @route("GET", "/rest/api/3/issue/{number}/{part}")
    def part_of_issue(self, call: Call, number: str, part: str) -> Any:
        if number not in self.issues:
            return self._none()
        if part == "changelog":
            items = [{"field": "status", "fromString": "To Do", "toString": "Done"}]
            created = self.issues[number]["fields"]["updated"]
            entry = {"id": str(50_000 + int(number)), "author": person(1), "created": created, "items": items}
            return self._paged(call, "values", [entry])
        if part == "remotelink":
            return self.links.get(number, [])
        if part == "transitions":
            return {"expand": "transitions", "transitions": [{"id": "11", "name": "Done", "to": {"name": "Done"}}]}
        if part == "votes":
            return {"self": "", "votes": 0, "hasVoted": False, "voters": []}
        if part == "watchers":
            return {"self": "", "isWatching": False, "watchCount": 1, "watchers": [person(1)]}
        return self._none()

    @route("GET", "/rest/api/3/user")
    def user(self, call: Call) -> Any:
        groups = {"size": 1, "items": [{"name": "team 1", "groupId": "g-1"}]}
        return {**person(int(call.param("accountId").removeprefix("user-"))), "groups": groups}

    @route("GET", "/rest/api/3/label")
    def label(self, call: Call) -> Any:
        return self._paged(call, "values", LABELS)

    @route("GET", "/rest/api/3/permissions")
    def permissions(self, call: Call) -> Any:
        return {"permissions": PERMISSIONS}

    @route("GET", "/rest/api/3/avatar/{kind}/system")
    def avatars(self, call: Call, kind: str) -> Any:
        return {"system": [{"id": f"{kind}-{n}", "isSystemAvatar": True, "urls": {}} for n in range(2)]}

    @route("GET", "/rest/api/3/{one}")
    @route("GET", "/rest/api/3/{one}/{two}")
    @route("GET", "/rest/api/3/{one}/{two}/{three}")
    @route("GET", "/rest/api/3/{one}/{two}/{three}/{four}/{five}")
    def listed(self, call: Call, **parts: str) -> Any:
        path = "/".join(parts[name] for name in ("one", "two", "three", "four", "five") if name in parts)
        if path not in LISTS:
            return self._none()
        name, rows = LISTS[path]
        if name == "{}":
            return rows[0]
        if name == "values":
            return self._paged(call, name, rows)
        return {name: rows} if name else rows

    def add_board(self, key: str, kind: str = "scrum") -> int:
        number = len(self.boards) + 1
        location = {"projectKey": key}
        self.boards.append({"id": number, "name": f"Board {number}", "type": kind, "location": location})
        return number

    @route("GET", "/rest/agile/1.0/board")
    def board_list(self, call: Call) -> Any:
        return self._paged(call, "values", self.boards)

    @route("GET", "/rest/agile/1.0/board/{number}/sprint")
    def sprints(self, call: Call, number: str) -> Any:
        if self.boards[int(number) - 1]["type"] == "kanban":
            return self.refuse(400, "The board does not support sprints")
        return self._paged(call, "values", [{"id": n, "name": f"Sprint {n}", "goal": "Faster"} for n in range(SPRINTS)])

    @route("GET", "/rest/agile/1.0/board/{number}/issue")
    def issues_of_board(self, call: Call, number: str) -> Any:
        key = self.boards[int(number) - 1]["location"]["projectKey"]
        return self._agile_issues(call, lambda issue: issue["fields"]["project"]["key"] == key)

    @route("GET", "/rest/agile/1.0/sprint/{number}/issue")
    def issues_of_sprint(self, call: Call, number: str) -> Any:
        return self._agile_issues(call, lambda issue: int(issue["id"]) % SPRINTS == int(number))

    def _agile_issues(self, call: Call, chosen: Callable[[Json], bool]) -> Any:
        query = JQL.fullmatch(call.param("jql"))
        if query is None:
            return self.refuse(400, "Error in the JQL Query")
        rows = [row for row in self.issues.values() if chosen(row) and moment(row) * 1000 >= int(query["since"])]
        rows.sort(key=lambda issue: (moment(issue), issue["id"]), reverse=query["order"] == "desc")
        answer = self._paged(call, "issues", [self._selected_issue(row, call) for row in rows])
        del answer["isLast"]  # it has `total` in its place
        self.page_was_read()
        return answer

    def _none(self) -> Answer:
        return self.refuse(404, "Issue does not exist or you do not have permission to see it.")

    def _paged(self, call: Call, key: str, rows: list[Any]) -> Json:
        start, size = int(call.param("startAt", "0")), min(self.page, int(call.param("maxResults", "50")))
        page = rows[start : start + size]
        return {
            key: page,
            "startAt": start,
            "maxResults": size,
            "total": len(rows),
            "isLast": start + size >= len(rows),
        }


def moment(issue: Json) -> int:
    return seconds_of(issue["fields"]["updated"].replace(".000+0000", "Z"))


if __name__ == "__main__":
    run(JiraStandIn)
