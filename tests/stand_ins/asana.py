"""A stand-in for Asana: workspaces, projects, tasks of all levels, stories and files, with their paging and refusals.

By hand: `python -m stand_ins.asana --port 8080` prints its address; the token is larkspur-token. Facts:
developers.asana.com (pagination, input and output options, rate limits, errors, OAuth) and asana 5.4, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, END
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run_with_tokens
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
Tree = dict[str, Any]

TOKEN = "larkspur-token"
CLIENT, SECRET = "larkspur-app", "asana-larkspur"
USERS_OF_WORKSPACE = 2000
"""The list below a workspace ends here; the one by parameter does not."""


class AsanaStandIn(PagedApi):
    """Asana on 127.0.0.1. `lacks` names pieces of paths that the plan lacks, `forbidden` those that are refused."""

    name: ClassVar[str] = "Asana stand-in"
    bearer: ClassVar[str] = TOKEN
    token_path: ClassVar[str] = "/-/oauth_token"
    reports_limits: ClassVar[bool] = False
    refusals: ClassVar[Mapping[int, str]] = {
        401: "Not Authorized",
        402: "This feature is only available to premium users.",
        403: "You do not have access to this.",
    }

    def __init__(self, *, tasks: int = 130, **options: Any) -> None:
        super().__init__(**options)
        self.tokens = TokenEndpoint({CLIENT: SECRET}, lifetime_s=3600, rotation="kept", client_in=("body",))
        self.now = END
        self.tasks: dict[str, Json] = {}
        self.stories: dict[str, list[Json]] = {}
        self.files: dict[str, list[Json]] = {}
        # Tasks of the projects p1 (two of three) and p2.
        for n in range(1, tasks + 1):
            self._add_task(f"t{n}", BEGIN + n * 5000, completed=n % 2 == 0, projects=["p2" if n % 3 == 0 else "p1"])
            self.stories[f"t{n}"] = [self._story(f"t{n}", i, BEGIN + n * 5000) for i in range(n % 3)]
        self.files["t2"] = [self._file("a1", "t2", BEGIN + 2 * 5000)]
        self.lists: dict[str, list[Json]] = {
            "workspaces": [self._object("workspace", w, name=f"Larkspur {w}") for w in ("w1", "w2")],
            "workspaces/w1/projects": [self._project(p) for p in ("p1", "p2")],
            "workspaces/w2/projects": [],
            "projects/p1/sections": [self._object("section", f"s{i}", name=f"Section {i}") for i in range(3)],
            "projects/p2/sections": [],
            "workspaces/w1/users": [self._object("user", f"u{i}", name=FIRST_NAMES[i % 30]) for i in range(120)],
            "workspaces/w2/users": [self._object("user", "u1", name=FIRST_NAMES[1])],
            "workspaces/w1/teams": [self._object("team", "m1", name="Core", description="")],
            "workspaces/w1/tags": [self._object("tag", f"g{i}", name=f"tag {i}") for i in range(4)],
            "workspaces/w2/tags": [],
            "workspaces/w1/custom_fields": [self._object("custom_field", "f1", name="Effort", type="number")],
            "workspaces/w2/custom_fields": [],
            "teams/m1/team_memberships": [
                self._object("team_membership", f"tm{i}", user={"gid": f"u{i}", "name": FIRST_NAMES[i]})
                for i in range(3)
            ],
        }
        self.portfolios = {"w1": [self._object("portfolio", "o1", name="This year")], "w2": []}
        self.members = {"o1": [self._object("membership", f"om{i}", member={"gid": f"u{i}"}) for i in range(2)]}
        self.updates = {
            "p1": [self._object("status_update", "x1", title="Week 1", text="On track", html_text="<body/>")]
        }
        self.briefs = {"b1": self._object("project_brief", "b1", title="Why", text="What we want", html_text="<body/>")}

    @property
    def config(self) -> Json:
        """A configuration of the source `asana` that reads this server."""
        return {"credentials": {"option_title": "PAT Credentials", "personal_access_token": TOKEN},
                "base_url": self.url, "calls_per_minute": 60_000}  # fmt: skip

    @property
    def oauth_config(self) -> Json:
        """A configuration with a refresh token from a fresh consent."""
        credentials = {"option_title": "OAuth Credentials", "client_id": CLIENT, "client_secret": SECRET,
                       "refresh_token": self.tokens.granted().refresh_token}  # fmt: skip
        return {**self.config, "credentials": credentials}

    # What happens in the workspaces

    def add_project(self, gid: str, tasks: int, begin: int) -> None:
        """A project that has its tasks, comments, files and news from the time before."""
        self.lists["workspaces/w1/projects"].append(self._project(gid))
        self.lists[f"projects/{gid}/sections"] = []
        for n in range(tasks):
            task = f"{gid}-{n}"
            self._add_task(task, begin + n * 60, projects=[gid])
            self.stories[task] = [self._story(task, 0, begin + n * 60)]
            self.files[task] = [self._file(f"a-{task}", task, begin + n * 60)]
        self.add_subtask(f"{gid}-0", f"{gid}-below", at=begin)
        self.add_subtask(f"{gid}-below", f"{gid}-deep", at=begin)

    def add_subtask(self, parent: str, gid: str, at: int | None = None) -> Json:
        """A task below another one. It is in no project, and its changes are none of its parent."""
        self.now += 60
        above = self.tasks[parent]
        above["num_subtasks"] = above.get("num_subtasks", 0) + 1
        if at is None:
            above["modified_at"] = iso_ms(self.now)
        task = self._add_task(gid, self.now if at is None else at, projects=[], parent={"gid": parent, "name": parent})
        self.stories[gid] = [self._story(gid, 0, self.now if at is None else at)]
        return task

    def add_lonely_task(self, gid: str, assignee: str) -> Json:
        """A task without a project, with an assignee."""
        self.now += 60
        return self._add_task(gid, self.now, projects=[], assignee={"gid": assignee, "name": assignee})

    def reveal(self, task: str, project: str) -> None:
        """A task out of a project that nobody saw comes to one that is read: its comments are older than that."""
        self._add_task(task, BEGIN, projects=[])
        self.stories[task] = [self._story(task, i, BEGIN + i) for i in range(3)]
        self.touch(task, projects=[project])

    def touch(self, task: str, **fields: Any) -> None:
        self.now += 60
        self.tasks[task].update(fields, modified_at=iso_ms(self.now))

    def comment(self, task: str, text: str) -> None:
        """Add a story, which changes its task."""
        self.touch(task)
        self.stories[task].append({**self._story(task, len(self.stories[task]), self.now), "text": text})

    def edit(self, task: str, story: int, text: str) -> None:
        """Change a comment: it keeps its time, and its task is not changed."""
        self.stories[task][story].update(text=text, is_edited=True)

    def attach(self, task: str, gid: str) -> None:
        self.touch(task)
        self.files.setdefault(task, []).append(self._file(gid, task, self.now))

    # Credentials, errors and rate limits

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errors": [{"message": message, "help": "For more information, see the docs."}]})

    # Lists

    @route("GET", "/api/1.0/tasks")
    def task_list(self, call: Call) -> Any:
        project, assignee, since = call.param("project"), call.param("assignee"), call.param("modified_since")
        if bool(project) == bool(assignee) or (assignee and not call.param("workspace")):
            return self.refuse(400, "You should specify one of project, tag, section, user_task_list, or assignee.")
        return self._page(
            call,
            [
                task
                for task in self.tasks.values()
                if task["modified_at"] >= since
                and (project in task["projects"] if project else (task.get("assignee") or {}).get("gid") == assignee)
            ],
        )

    @route("GET", "/api/1.0/tasks/{task}/stories")
    def story_list(self, call: Call, task: str) -> Any:
        return self._page(call, self.stories.get(task, [])) if task in self.tasks else self._unknown("task")

    @route("GET", "/api/1.0/tasks/{task}/subtasks")
    def subtask_list(self, call: Call, task: str) -> Any:
        return self._page(call, [row for row in self.tasks.values() if (row.get("parent") or {}).get("gid") == task])

    @route("GET", "/api/1.0/attachments")
    def attachment_list(self, call: Call) -> Any:
        return self._page(call, self.files.get(call.param("parent"), []))

    @route("GET", "/api/1.0/users")
    def user_list(self, call: Call) -> Any:
        return self._page(call, self.lists[f"workspaces/{call.param('workspace')}/users"])

    @route("GET", "/api/1.0/portfolios")
    def portfolio_list(self, call: Call) -> Any:
        return self._page(call, self.portfolios[call.param("workspace")])

    @route("GET", "/api/1.0/memberships")
    def membership_list(self, call: Call) -> Any:
        return self._page(call, self.members.get(call.param("parent"), []))

    @route("GET", "/api/1.0/status_updates")
    def update_list(self, call: Call) -> Any:
        return self._page(call, self.updates.get(call.param("parent"), []))

    @route("GET", "/api/1.0/project_briefs/{brief}")
    def brief(self, call: Call, brief: str) -> Any:
        return {"data": chosen(self.briefs[brief], tree_of(call))} if brief in self.briefs else self._unknown(brief)

    @route("GET", "/api/1.0/{one}")
    @route("GET", "/api/1.0/{one}/{two}/{three}")
    def any_list(self, call: Call, **_: str) -> Any:
        path = call.path.removeprefix("/api/1.0/")
        if path not in self.lists:
            return self._unknown(path)
        rows = self.lists[path]
        return self._page(call, rows[:USERS_OF_WORKSPACE] if path.endswith("/users") else rows)

    def _unknown(self, what: str) -> Answer:
        return self.refuse(404, f"{what}: Unknown object")

    def _page(self, call: Call, rows: list[Json]) -> Json:
        """Of each record its names, and what `opt_fields` asks for."""
        page, tree = self.page_of(call, rows), tree_of(call)
        link = {"offset": str(page.following), "path": call.path, "uri": self.url + call.path}
        return {"data": [chosen(row, tree) for row in page.rows], "next_page": link if page.following else None}

    def _add_task(self, gid: str, at: int, **fields: Any) -> Json:
        problem = problems()[len(self.tasks) % 60]
        effort = {"gid": "f1", "resource_type": "custom_field", "name": "Effort", "display_value": "3 days",
                  "number_value": 3, "resource_subtype": "number"}  # fmt: skip
        task = self._object("task", gid, name=problem.title, notes=problem.cause, modified_at=iso_ms(at),
                            num_subtasks=0, custom_fields=[effort], **fields)  # fmt: skip
        self.tasks[gid] = task
        return task

    def _project(self, gid: str) -> Json:
        brief = {"gid": "b1", "resource_type": "project_brief"} if gid == "p1" else None
        return self._object("project", gid, name=gid, notes="What we do", project_brief=brief)

    def _object(self, kind: str, gid: str, **fields: Any) -> Json:
        return {"gid": gid, "resource_type": kind, "created_at": iso_ms(BEGIN), **fields}

    def _story(self, task: str, i: int, when: int) -> Json:
        story = self._object("story", f"{task}-{i}", text="Looks good.", type="comment", target={"gid": task})
        return {**story, "created_at": iso_ms(when), "is_edited": False}

    def _file(self, gid: str, parent: str, when: int) -> Json:
        file = self._object("attachment", gid, name=f"{gid}.pdf", host="asana", parent={"gid": parent, "name": parent},
                            permanent_url=f"https://app.asana.com/app/asana/-/get_asset?asset_id={gid}")  # fmt: skip
        return {**file, "created_at": iso_ms(when)}


def tree_of(call: Call) -> Tree:
    """`opt_fields` as a tree: `a.b,c` is `{"a": {"b": {}}, "c": {}}`."""
    tree: Tree = {}
    for path in call.param("opt_fields").split(","):
        branch = tree
        for name in path.split("."):
            branch = branch.setdefault(name, {})
    return tree


def chosen(value: Any, tree: Tree) -> Any:
    """The gid, the kind and the selected fields of an object; without selected fields it is compact."""
    if isinstance(value, list):
        return [chosen(item, tree) if isinstance(item, dict) else {"gid": item} for item in value]
    if not isinstance(value, dict):
        return value
    names = {"gid", "resource_type", *(tree or ("name",))}
    return {name: chosen(part, tree.get(name, {})) for name, part in value.items() if name in names}


def iso_ms(seconds: int) -> str:
    """Asana's timestamp."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


if __name__ == "__main__":
    run_with_tokens(AsanaStandIn)
