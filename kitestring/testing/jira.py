"""A stand-in for Jira Cloud's REST API: two projects with issues, comments and worklogs.

Facts: developer.atlassian.com/cloud/jira/platform/rest/v3 (search by JQL with page tokens, lists by startAt, refused
credentials), read 2026-11.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any, ClassVar

from kitestring.testing.atlassian import CLOUD_ID, EMAIL, SITE, AtlassianStandIn
from kitestring.testing.help_desk.objects import BEGIN, iso, seconds_of
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route

Json = dict[str, Any]
HOUR = 3600


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

    def __init__(self, *, issues: int = 130, page: int = 50, **more: Any) -> None:
        super().__init__(**more)
        self.page = page
        self.now = BEGIN
        self.projects = [self._project(1, "WEB"), self._project(2, "API")]
        self.issues: dict[str, Json] = {}
        self.comments: dict[str, list[Json]] = {}
        self.worklogs: dict[str, list[Json]] = {}
        texts = problems()
        for n in range(1, issues + 1):
            problem = texts[n % len(texts)]
            number = self.add_issue("WEB" if n % 3 else "API", problem.title, problem.cause)["id"]
            for _ in range(n % 3):
                self.add_comment(number, problem.symptom)
            if n % 10 == 0:
                self.worklogs[number].append({**self._entry(number, 40_000 + n), "timeSpentSeconds": 1800})

    @property
    def config(self) -> Json:
        return {"domain": SITE, "email": EMAIL, "api_token": self.site_key, "base_url": self.url}

    @property
    def scoped(self) -> Json:
        """For credentials that open the gateway only."""
        return {"domain": SITE, "cloud_id": CLOUD_ID, "base_url": self.url}

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

    def _project(self, n: int, key: str) -> Json:
        return {"id": str(n), "key": key, "name": f"Larkspur {key}", "description": "", "self": "", "lead": person(n),
                "projectTypeKey": "software", "simplified": False, "style": "classic", "isPrivate": False}  # fmt: skip

    def as_stranger(self) -> Answer:
        empty = {"issues": [], "values": [], "startAt": 0, "maxResults": 50, "total": 0, "isLast": True}
        return Answer(200, empty, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errorMessages": [message], "errors": {}})

    @route("GET", "/rest/api/3/search/jql")
    def search(self, call: Call) -> Any:
        found = re.fullmatch(
            r"(?:project in \((?P<keys>[^)]*)\) and )?updated >= (?P<since>\d+) order by updated asc", call.param("jql")
        )
        if found is None:
            return self.refuse(400, "Error in the JQL Query")
        keys = re.findall(r'"(\w+)"', found["keys"] or "") or [p["key"] for p in self.projects]
        unknown = [k for k in keys if k not in {p["key"] for p in self.projects}]
        if unknown:
            return self.refuse(400, f"The value '{unknown[0]}' does not exist for the field 'project'.")
        rows = [
            issue
            for issue in self.issues.values()
            if issue["fields"]["project"]["key"] in keys and moment(issue) * 1000 >= int(found["since"])
        ]
        rows.sort(key=lambda issue: (moment(issue), issue["id"]))
        start = int(b64decode(call.param("nextPageToken", b64encode(b"0").decode())))
        end = start + min(self.page, int(call.param("maxResults", "50")))
        page = [self._shown(issue, call) for issue in rows[start:end]]
        if end >= len(rows):
            return {"issues": page, "isLast": True}
        return {"issues": page, "isLast": False, "nextPageToken": b64encode(str(end).encode()).decode()}

    def _shown(self, issue: Json, call: Call) -> Json:
        wanted = call.param("fields").split(",")
        fields = {k: v for k, v in issue["fields"].items() if wanted == ["*all"] or k in wanted}
        kept = {k: v for k, v in issue.items() if k != "renderedFields" or call.param("expand") == "renderedFields"}
        return {**kept, "fields": fields}

    @route("GET", "/rest/api/3/issue/{number}/comment")
    def comments_of(self, call: Call, number: str) -> Any:
        return self._paged(call, "comments", self.comments[number]) if number in self.issues else self._none()

    @route("GET", "/rest/api/3/issue/{number}/worklog")
    def worklogs_of(self, call: Call, number: str) -> Any:
        return self._paged(call, "worklogs", self.worklogs[number]) if number in self.issues else self._none()

    @route("GET", "/rest/api/3/project/search")
    def project_search(self, call: Call) -> Any:
        keys = call.params.get("keys", [])
        return self._paged(call, "values", [p for p in self.projects if not keys or p["key"] in keys])

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
        start = int(call.param("startAt", "0"))
        return [person(n) for n in range(205)][start : start + int(call.param("maxResults", "50"))]

    @route("GET", "/rest/api/3/{collection}")
    def plain(self, call: Call, collection: str) -> Any:
        if collection not in ("field", "issuetype", "status"):
            return self._none()
        return [{"id": f"{collection}-{n}", "name": f"{collection} {n}"} for n in range(3)]

    @route("GET", "/rest/agile/1.0/board")
    def boards(self, call: Call) -> Any:
        rows = [{"id": n, "name": f"Board {n}", "type": kind, "location": {"projectKey": "WEB"}}
                for n, kind in ((1, "scrum"), (2, "kanban"))]  # fmt: skip
        return self._paged(call, "values", rows)

    @route("GET", "/rest/agile/1.0/board/{number}/sprint")
    def sprints(self, call: Call, number: str) -> Any:
        if number == "2":
            return self.refuse(400, "The board does not support sprints")
        return self._paged(call, "values", [{"id": n, "name": f"Sprint {n}", "goal": "Faster"} for n in range(70)])

    def _none(self) -> Answer:
        return self.refuse(404, "Issue does not exist or you do not have permission to see it.")

    def _paged(self, call: Call, key: str, rows: list[Json]) -> Json:
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
