"""A stand-in for GitLab's REST API: a group of projects with issues, merge requests and their notes.

Facts: docs.gitlab.com/api (paging by Link header, encoded paths, filters and order of each list), read 2026-11.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, StandIn, route

Json = dict[str, Any]
TOKEN = "glpat-larkspur"  # noqa: S105 - opens nothing but this server
HOUR = 3600


class GitLabStandIn(StandIn):
    """`server.config` opens it. A note changes what it belongs to; every change moves `now` on."""

    name: ClassVar[str] = "gitlab"

    def __init__(self, *, issues: int = 30, page: int = 100, **more: Any) -> None:
        super().__init__(**more)
        self.page = page
        self.now = BEGIN
        self.count = 0
        paths = ("larkspur/web", "larkspur/tools/api", "elsewhere/site")
        self.projects = {path: self._object(name=path, path_with_namespace=path) for path in paths}
        self.rows: dict[tuple[str, str], list[Json]] = {}
        self.notes: dict[tuple[str, str, int], list[Json]] = {}
        texts = problems()
        for path in paths[:2]:
            for n in range(issues):
                problem = texts[n % len(texts)]
                kind = "merge_requests" if n % 5 == 0 else "issues"
                one = self.add(path, kind, problem.title, problem.cause)
                for step in problem.steps[: n % 3]:
                    self.note(path, kind, one["iid"], step)
                self.note(path, kind, one["iid"], "changed the milestone", system=True)
            self.rows[path, "wikis"] = [{"slug": f"page-{n}", "title": f"Page {n}", "content": problems()[n].cause,
                                         "format": "markdown", "encoding": "UTF-8"} for n in range(4)]  # fmt: skip
            self.rows[path, "commits"] = [
                {"id": f"{n:040x}", "title": f"Change {n}", "message": f"Change {n}",
                 "committed_date": iso(BEGIN + n * HOUR).replace("Z", ".000+00:00")} for n in reversed(range(25))
            ]  # fmt: skip
            self.rows[path, "releases"] = [{"tag_name": f"v{n}", "name": f"Version {n}", "description": "New"}
                                           for n in range(3)]  # fmt: skip
            self.rows[path, "milestones"] = [self._object(title=f"Version {n}") for n in range(3)]

    @property
    def config(self) -> Json:
        return {"credentials": {"auth_type": "access_token", "access_token": TOKEN}, "groups_list": ["larkspur"],
                "calls_per_minute": 100_000, "base_url": self.url}  # fmt: skip

    def add(self, path: str, kind: str, title: str, text: str) -> Json:
        rows = self.rows.setdefault((path, kind), [])
        one = self._object(iid=len(rows) + 1, title=title, description=text, state="opened", labels=[])
        rows.append(one)
        return one

    def note(self, path: str, kind: str, iid: int, text: str, system: bool = False) -> Json:
        note = self._object(body=text, system=system, author={"id": 1, "username": "agent"}, noteable_iid=iid)
        self.notes.setdefault((path, kind, iid), []).append(note)
        self.rows[path, kind][iid - 1]["updated_at"] = note["updated_at"]
        return note

    def _object(self, **fields: Any) -> Json:
        self.now += HOUR
        self.count += 1
        time = iso(self.now).replace("Z", ".000Z")
        return {"id": self.count, "created_at": time, "updated_at": time, **fields}

    def authorize(self, call: Call) -> Answer | None:
        given = call.headers.get("authorization")
        if given == "Bearer glpat-no-scope":
            return Answer(403, {"error": "insufficient_scope", "scope": "api read_api"})
        return None if given == f"Bearer {TOKEN}" else self.refuse(401, "401 Unauthorized")

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"message": message})

    @route("GET", "/api/v4/projects")
    def own(self, call: Call) -> Any:
        return self._listed(call, list(self.projects.values()) if call.param("membership") == "true" else [])

    @route("GET", "/api/v4/groups/{group}/projects")
    def of_group(self, call: Call, group: str) -> Any:
        rows = [p for path, p in self.projects.items() if path.startswith(group + "/")]
        return self._listed(call, rows) if rows else self.refuse(404, "404 Group Not Found")

    @route("GET", "/api/v4/projects/{path}")
    def project(self, call: Call, path: str) -> Any:
        return self.projects.get(path) or self.refuse(404, "404 Project Not Found")

    @route("GET", "/api/v4/projects/{path}/repository/commits")
    def commits(self, call: Call, path: str) -> Any:
        since = call.param("since").replace("Z", "")
        return self._listed(call, [c for c in self.rows.get((path, "commits"), ()) if c["committed_date"] >= since])

    @route("GET", "/api/v4/projects/{path}/{kind}/{iid}/notes")
    def notes_of(self, call: Call, path: str, kind: str, iid: str) -> Any:
        return self._ordered(call, self.notes.get((path, kind, int(iid)), []))

    @route("GET", "/api/v4/projects/{path}/{kind}")
    def of_project(self, call: Call, path: str, kind: str) -> Any:
        if path not in self.projects:
            return self.refuse(404, "404 Project Not Found")
        if (path, kind) not in self.rows:
            return self.refuse(403, "403 Forbidden")
        return self._ordered(call, self.rows[path, kind])

    def _ordered(self, call: Call, rows: list[Json]) -> Answer:
        rows = [row for row in rows if row.get("updated_at", "") >= call.param("updated_after")]
        if call.param("order_by") == "updated_at":
            rows.sort(key=lambda row: row["updated_at"], reverse=call.param("sort", "desc") == "desc")
        return self._listed(call, rows)

    def _listed(self, call: Call, rows: list[Json]) -> Answer:
        number, size = int(call.param("page", "1")), min(self.page, int(call.param("per_page", "20")))
        answer = Answer(200, rows[(number - 1) * size : number * size])
        if number * size < len(rows):
            query = urlencode({**{k: v[-1] for k, v in call.params.items()}, "page": number + 1})
            answer.headers["Link"] = f'<{self.url}{call.path}?{query}>; rel="next"'
        return answer
