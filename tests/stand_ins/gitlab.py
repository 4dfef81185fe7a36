"""A stand-in for GitLab's REST API: groups with epics, and their projects with issues, merge requests, code and jobs.

By hand: `python -m stand_ins.gitlab --port 8080` prints its address; the token is glpat-larkspur, the group
larkspur. Facts: docs.gitlab.com/api (paging by Link header, encoded paths, filters and order of each list, epics by iid
and their notes by id, OAuth), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run_with_tokens
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
TOKEN = "glpat-larkspur"
CLIENT, SECRET = "larkspur-app", "gloas-larkspur"
HOUR = 3600
GROUPS = ("larkspur", "larkspur/tools", "elsewhere")
PATHS = ("larkspur/web", "larkspur/tools/api", "elsewhere/site")


class GitLabStandIn(PagedApi):
    """`server.config` opens it. A note changes what it belongs to; every change moves `now` on.

    `lacks` names lists that the plan of the groups does not include.
    """

    name: ClassVar[str] = "gitlab"
    bearer: ClassVar[str] = TOKEN
    token_path: ClassVar[str] = "/oauth/token"
    refusals: ClassVar[Mapping[int, str]] = {401: "401 Unauthorized"}

    def __init__(self, *, issues: int = 30, page: int = 100, **options: Any) -> None:
        super().__init__(**options)
        self.page = page
        self.most_offset = 50_000
        """Where a list has keyset pages, numbered ones end here."""
        self.now = BEGIN
        self.count = 0
        self.tokens = TokenEndpoint({CLIENT: SECRET}, lifetime_s=7200, scope="read_api", client_in=("body",))
        self.groups = {
            path: {**self._plain(name=path.rpartition("/")[2], full_path=path), "created_at": iso(BEGIN)}
            for path in GROUPS
        }
        self.projects: dict[str, Json] = {}
        self.rows: dict[tuple[str, str], list[Json]] = {}
        self.notes: dict[tuple[str, str, int], list[Json]] = {}
        self.branches: dict[str, list[Json]] = {}
        for path in PATHS[:2]:
            self.add_project(path, issues)
        self.projects[PATHS[2]] = self._object(name=PATHS[2], path_with_namespace=PATHS[2])
        for number, path in enumerate(GROUPS[:2]):
            self._fill_group(path, number + 2)

    @property
    def config(self) -> Json:
        return {"credentials": {"auth_type": "access_token", "access_token": TOKEN}, "groups_list": ["larkspur"],
                "calls_per_minute": 100_000, "base_url": self.url}  # fmt: skip

    @property
    def oauth_config(self) -> Json:
        """A configuration with a pair from a fresh consent."""
        pair = self.tokens.granted()
        credentials = {"auth_type": "oauth2.0", "client_id": CLIENT, "client_secret": SECRET,
                       "access_token": pair.access_token, "refresh_token": pair.refresh_token}  # fmt: skip
        return {**self.config, "credentials": credentials}

    # What happens in the workspace

    def add_project(self, path: str, issues: int = 30) -> None:
        """A project with everything in it."""
        self.projects[path] = self._object(name=path, path_with_namespace=path)
        texts = problems()
        for n in range(issues):
            problem = texts[n % len(texts)]
            kind = "merge_requests" if n % 5 == 0 else "issues"
            item = self.add(path, kind, problem.title, problem.cause)
            for step in problem.steps[: n % 3]:
                self.note(path, kind, item["iid"], step)
            self.note(path, kind, item["iid"], "changed the milestone", system=True)
        self.rows[path, "wikis"] = [{"slug": f"page-{n}", "title": f"Page {n}", "content": texts[n].cause,
                                     "format": "markdown", "encoding": "UTF-8"} for n in range(4)]  # fmt: skip
        self.rows[path, "commits"] = [self._commit(path, n, BEGIN + n * HOUR) for n in reversed(range(25))]
        self.branches[path] = [self._commit(path, 100, BEGIN + HOUR)]
        self.rows[path, "releases"] = [{"tag_name": f"v{n}", "name": f"Version {n}", "description": "New"}
                                       for n in range(3)]  # fmt: skip
        self.rows[path, "milestones"] = [self._object(title=f"Version {n}") for n in range(3)]
        self.rows[path, "labels"] = [self._plain(name=f"label {n}", color="#aabbcc") for n in range(12)]
        self.rows[path, "members"] = [self._person(n, access_level=30) for n in range(3)]
        self.rows[path, "users"] = [self._person(n) for n in range(4)]
        self.rows[path, "boards"] = [self._plain(name="Development", lists=[])]
        self.rows[path, "branches"] = [{"name": name, "default": name == "main", "commit": {"id": "0" * 40}}
                                       for name in ("main", "feature/login")]  # fmt: skip
        self.rows[path, "tags"] = [{"name": f"v{n}", "message": "New", "target": f"{n:040x}"} for n in range(3)]
        self.rows[path, "deployments"] = [self._object(iid=n, status="success", ref="main") for n in range(3)]
        for n in range(12):
            self.add_pipeline(path, "parent_pipeline" if n % 6 == 5 else "push")

    def add(self, path: str, kind: str, title: str, text: str) -> Json:
        rows = self.rows.setdefault((path, kind), [])
        item = self._object(iid=len(rows) + 1, title=title, description=text, state="opened", labels=[])
        rows.append(item)
        if kind == "merge_requests":
            self.rows[path, f"merge_requests/{item['iid']}/commits"] = [self._commit(path, item["id"], self.now)]
        return item

    def add_epic(self, group: str, title: str, text: str) -> Json:
        rows = self.rows.setdefault((group, "epics"), [])
        epic = self._object(iid=len(rows) + 1, title=title, description=text, state="opened", labels=[])
        rows.append(epic)
        return epic

    def add_pipeline(self, path: str, source: str = "push") -> Json:
        pipeline = self._object(status="success", source=source, ref="main", sha="0" * 40)
        self.rows.setdefault((path, "pipelines"), []).append(pipeline)
        self.rows[path, f"pipelines/{pipeline['id']}/jobs"] = [
            self._plain(name=name, stage=name, status="success", pipeline={"id": pipeline["id"]},
                        created_at=pipeline["created_at"])
            for name in ("build", "test")
        ]  # fmt: skip
        return pipeline

    def retry(self, path: str, pipeline: int) -> Json:
        """Run the last job of a pipeline again: that changes the pipeline."""
        job = self._object(name="test", stage="test", status="success", pipeline={"id": pipeline})
        row = next(row for row in self.rows[path, "pipelines"] if row["id"] == pipeline)
        row["updated_at"] = job.pop("updated_at")
        self.rows[path, f"pipelines/{pipeline}/jobs"].append(job)
        return job

    def merge(self, path: str, at: int) -> Json:
        """A branch is merged: its commit comes to the default branch, with the date that it always had."""
        commit = self._commit(path, 1000 + self.count, at)
        self.count += 1
        rows = self.rows[path, "commits"]
        rows.append(commit)
        rows.sort(key=lambda row: row["committed_date"], reverse=True)
        return commit

    def move(self, path: str, iid: int, to: str) -> Json:
        """An issue goes to another project: it is a new one there, with copies of its notes that keep their times."""
        issue = self.rows[path, "issues"][iid - 1]
        moved = self.add(to, "issues", issue["title"], issue["description"])
        issue.update(state="closed", moved_to_id=moved["id"], updated_at=moved["updated_at"])
        copies = []
        for note in self.notes.get((path, "issues", iid), []):
            self.count += 1
            copies.append({**note, "id": self.count, "noteable_iid": moved["iid"]})
        self.notes[to, "issues", moved["iid"]] = copies
        self.note(to, "issues", moved["iid"], f"moved from {path}#{iid}", system=True)
        return moved

    def note(self, path: str, kind: str, iid: int, text: str, system: bool = False) -> Json:
        note = self._object(body=text, system=system, author={"id": 1, "username": "agent"}, noteable_iid=iid)
        self.notes.setdefault((path, kind, iid), []).append(note)
        self.rows[path, kind][iid - 1]["updated_at"] = note["updated_at"]
        return note

    def _fill_group(self, path: str, epics: int) -> None:
        for n in range(epics):
            problem = problems()[n]
            epic = self.add_epic(path, problem.title, problem.cause)
            self.note(path, "epics", epic["iid"], f"What we think of {epic['title']}")
            self.note(path, "epics", epic["iid"], "changed the start date", system=True)
            issue = self.rows[PATHS[0], "issues"][n]
            self.rows[path, f"epics/{epic['iid']}/issues"] = [{**issue, "epic_issue_id": 500 + n}]
        self.rows[path, "milestones"] = [self._object(title="Year")]
        self.rows[path, "labels"] = [self._plain(name="all", color="#aabbcc")]
        self.rows[path, "wikis"] = [{"slug": "home", "title": "Home", "content": "What we do", "format": "markdown"}]
        self.rows[path, "members"] = [self._person(n, access_level=50) for n in range(2)]
        self.rows[path, "boards"] = [self._plain(name="Planning", lists=[])]

    def _object(self, **fields: Any) -> Json:
        self.now += HOUR
        self.count += 1
        time = iso(self.now).replace("Z", ".000Z")
        return {"id": self.count, "created_at": time, "updated_at": time, **fields}

    def _plain(self, **fields: Any) -> Json:
        """An object without times of its own."""
        self.count += 1
        return {"id": self.count, **fields}

    def _commit(self, path: str, number: int, at: int) -> Json:
        time = iso(at).replace("Z", ".000+00:00")
        return {"id": f"{PATHS.index(path) if path in PATHS else 9}{number:039x}", "title": f"Change {number}",
                "message": f"Change {number}", "committed_date": time, "created_at": time}  # fmt: skip

    def _person(self, number: int, **fields: Any) -> Json:
        name = FIRST_NAMES[number]
        return {"id": number + 1, "username": name.lower(), "name": name, "state": "active", **fields}

    # Credentials, errors and rate limits

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("authorization", "").endswith(" glpat-no-scope"):
            return Answer(403, {"error": "insufficient_scope", "scope": "api read_api"})
        return super().authorize(call)

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"message": message})

    @route("GET", "/api/v4/personal_access_tokens/self")
    def own_token(self, call: Call) -> Any:
        return {"id": 4, "name": "larkspur", "scopes": ["read_api"], "expires_at": "2027-03-01", "active": True}

    # Groups

    @route("GET", "/api/v4/groups")
    def own_groups(self, call: Call) -> Any:
        return self._listed(call, list(self.groups.values()) if call.param("all_available") == "false" else [])

    @route("GET", "/api/v4/groups/{path}")
    def group(self, call: Call, path: str) -> Any:
        return self.groups.get(path) or self.refuse(404, "404 Group Not Found")

    @route("GET", "/api/v4/groups/{path}/descendant_groups")
    def subgroups(self, call: Call, path: str) -> Any:
        if path not in self.groups:
            return self.refuse(404, "404 Group Not Found")
        return self._listed(call, [group for name, group in self.groups.items() if name.startswith(path + "/")])

    @route("GET", "/api/v4/groups/{group}/projects")
    def of_group(self, call: Call, group: str) -> Any:
        if group not in self.groups:
            return self.refuse(404, "404 Group Not Found")
        return self._listed(call, [p for path, p in self.projects.items() if path.startswith(group + "/")])

    @route("GET", "/api/v4/groups/{path}/epics/{id}/notes")
    def notes_of_epic(self, call: Call, path: str, id: str) -> Any:
        """By the epic's id: with an iid another epic's notes come."""
        for (group, kind, iid), notes in self.notes.items():
            if kind == "epics" and str(self.rows[group, kind][iid - 1]["id"]) == id:
                return self._sorted_list(call, notes)
        return self.refuse(404, "404 Not found")

    @route("GET", "/api/v4/groups/{path}/epics/{iid}/issues")
    def issues_of_epic(self, call: Call, path: str, iid: str) -> Any:
        return self._listed(call, self.rows.get((path, f"epics/{iid}/issues"), []))

    @route("GET", "/api/v4/groups/{path}/{kind}")
    def list_of_group(self, call: Call, path: str, kind: str) -> Any:
        if path not in self.groups:
            return self.refuse(404, "404 Group Not Found")
        if kind in self.lacks:
            return self.refuse(403, "403 Forbidden")
        if kind == "wikis":
            return self.rows[path, kind]
        paths = [path]
        if kind == "epics" and call.param("include_descendant_groups", "true") == "true":
            paths += [name for name in self.groups if name.startswith(path + "/")]
        return self._sorted_list(call, [row for name in paths for row in self.rows.get((name, kind), ())])

    # Projects

    @route("GET", "/api/v4/projects")
    def own(self, call: Call) -> Any:
        return self._listed(call, list(self.projects.values()) if call.param("membership") == "true" else [])

    @route("GET", "/api/v4/projects/{path}")
    def project(self, call: Call, path: str) -> Any:
        return self.projects.get(path) or self.refuse(404, "404 Project Not Found")

    @route("GET", "/api/v4/projects/{path}/repository/commits")
    def commits(self, call: Call, path: str) -> Any:
        rows = list(self.rows.get((path, "commits"), ()))
        if call.param("all") == "true":
            rows = sorted(rows + self.branches.get(path, []), key=lambda row: row["committed_date"], reverse=True)
        since = call.param("since").replace("Z", "")
        return self._listed(call, [row for row in rows if row["committed_date"] >= since])

    @route("GET", "/api/v4/projects/{path}/repository/{kind}")
    def of_repository(self, call: Call, path: str, kind: str) -> Any:
        return self.of_project(call, path, kind)

    @route("GET", "/api/v4/projects/{path}/pipelines/{id}")
    def pipeline(self, call: Call, path: str, id: str) -> Any:
        for row in self.rows.get((path, "pipelines"), ()):
            if str(row["id"]) == id:
                return {**row, "duration": 34, "started_at": row["created_at"], "finished_at": row["updated_at"]}
        return self.refuse(404, "404 Not Found")

    @route("GET", "/api/v4/projects/{path}/{kind}/{iid}/notes")
    def notes_of(self, call: Call, path: str, kind: str, iid: str) -> Any:
        return self._sorted_list(call, self.notes.get((path, kind, int(iid)), []))

    @route("GET", "/api/v4/projects/{path}/{kind}/{iid}/{part}")
    def parts_of(self, call: Call, path: str, kind: str, iid: str, part: str) -> Any:
        return self._listed(call, self.rows.get((path, f"{kind}/{iid}/{part}"), []))

    @route("GET", "/api/v4/projects/{path}/{kind}")
    def of_project(self, call: Call, path: str, kind: str) -> Any:
        if path not in self.projects:
            return self.refuse(404, "404 Project Not Found")
        if (path, kind) not in self.rows:
            return self.refuse(403, "403 Forbidden")
        if kind == "wikis":
            # The one list that comes without pages.
            return self.rows[path, kind]
        rows = self.rows[path, kind]
        if kind == "pipelines":
            source = call.param("source")
            rows = [row for row in rows if row["source"] == source or (not source and row["source"] == "push")]
        return self._sorted_list(call, rows)

    # Pages

    def _sorted_list(self, call: Call, rows: list[Json]) -> Answer:
        rows = [row for row in rows if row.get("updated_at", "") >= call.param("updated_after")]
        if call.param("order_by") == "updated_at":
            rows.sort(key=lambda row: row["updated_at"], reverse=call.param("sort", "desc") == "desc")
        return self._listed(call, rows)

    def _listed(self, call: Call, rows: list[Json]) -> Answer:
        """Numbered pages tell their neighbours in every answer; a keyset ends with an empty page without a header."""
        size = min(self.page, int(call.param("per_page", "20")))
        if call.param("pagination") == "keyset":
            by_time = call.param("order_by") == "updated_at"
            if by_time:
                behind = call.param("cursor", "~")
                rows = [row for row in rows if place_of(row) < behind]
            else:
                rows = [row for row in rows if row["id"] > int(call.param("id_after", "0"))]
            answer = Answer(200, rows[:size])
            if rows:
                last_row = rows[:size][-1]
                position = {"cursor": place_of(last_row)} if by_time else {"id_after": last_row["id"]}
                answer.headers["Link"] = self._link(call, "next", **position)
            return answer
        if (int(call.param("page", "1")) - 1) * size >= self.most_offset and call.path.endswith("/issues"):
            message = "Offset pagination has a maximum allowed offset of 50000 for objects of type Issue."
            return Answer(405, {"error": message})
        number, last = int(call.param("page", "1")), max(1, -(-len(rows) // size))
        answer = Answer(200, rows[(number - 1) * size : number * size])
        links = [self._link(call, "next", page=number + 1)] if number < last else []
        links += [self._link(call, "first", page=1), self._link(call, "last", page=last)]
        answer.headers["Link"] = ", ".join(links)
        return answer

    def _link(self, call: Call, relation: str, **position: Any) -> str:
        query = urlencode({**{k: v[-1] for k, v in call.params.items()}, **position})
        return f'<{self.url}{call.path}?{query}>; rel="{relation}"'


def place_of(row: Json) -> str:
    """The position of a row in a list by time."""
    return f"{row['updated_at']} {row['id']:09}"


if __name__ == "__main__":
    run_with_tokens(GitLabStandIn)
