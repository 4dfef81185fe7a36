"""A stand-in for Asana: workspaces, projects, tasks and stories, with their paging, fields, limits and refusals.

For people: `python -m kitestring.testing.asana --port 8080` prints its address; the token is larkspur-token. Facts:
developers.asana.com (pagination, input and output options, rate limits, errors), read 2026-11.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

from kitestring.testing.help_desk.objects import BEGIN, END
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve

Json = dict[str, Any]

TOKEN, REFRESH, FRESH = "larkspur-token", "larkspur-refresh", "larkspur-fresh"


class AsanaStandIn(StandIn):
    """Asana on 127.0.0.1. `lacks` names pieces of paths that the plan lacks, `forbidden` those that are refused."""

    name: ClassVar[str] = "Asana stand-in"

    def __init__(
        self,
        *,
        tasks: int = 130,
        lacks: tuple[str, ...] = (),
        forbidden: tuple[str, ...] = (),
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.lacks, self.forbidden = lacks, forbidden
        self.now = END
        told = problems()
        # Tasks of the projects p1 (two of three) and p2.
        self.tasks = {
            f"t{n}": self._object("task", f"t{n}", name=told[n % 60].title, notes=told[n % 60].cause,
                                  completed=n % 2 == 0, modified_at=iso_ms(BEGIN + n * 5000),
                                  projects=["p2" if n % 3 == 0 else "p1"])
            for n in range(1, tasks + 1)
        }  # fmt: skip
        self.stories = {
            task: [self._story(task, i, BEGIN + int(task[1:]) * 5000) for i in range(int(task[1:]) % 3)]
            for task in self.tasks
        }
        self.lists: dict[str, list[Json]] = {
            "workspaces": [self._object("workspace", w, name=f"Larkspur {w}") for w in ("w1", "w2")],
            "workspaces/w1/projects": [self._object("project", p, name=p, notes="What we do") for p in ("p1", "p2")],
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
        }

    @property
    def config(self) -> Json:
        """A configuration of the source `asana` that reads this server."""
        return {"credentials": {"option_title": "PAT Credentials", "personal_access_token": TOKEN},
                "base_url": self.url, "calls_per_minute": 60_000}  # fmt: skip

    def touch(self, task: str, **fields: Any) -> None:
        self.now += 60
        self.tasks[task].update(fields, modified_at=iso_ms(self.now))

    def comment(self, task: str, text: str) -> None:
        """Add a story, which changes its task."""
        self.touch(task)
        self.stories[task].append({**self._story(task, len(self.stories[task]), self.now), "text": text})

    # The vendor's manners

    def authorize(self, call: Call) -> Answer | None:
        if call.path == "/-/oauth_token":
            return None
        if call.headers.get("authorization") not in (f"Bearer {TOKEN}", f"Bearer {FRESH}"):
            return self.refuse(401, "Not Authorized")
        if any(piece in call.path for piece in self.lacks):
            return self.refuse(402, "This feature is only available to premium users.")
        if any(piece in call.path for piece in self.forbidden):
            return self.refuse(403, "You do not have access to this.")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errors": [{"message": message, "help": "For more information, see the docs."}]})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {}

    @route("POST", "/-/oauth_token")
    def token(self, call: Call) -> Any:
        if parse_qs(call.body.decode()).get("refresh_token") != [REFRESH]:
            return Answer(400, {"error": "invalid_grant"})
        return {"access_token": FRESH, "expires_in": 3600, "token_type": "bearer"}

    # Lists

    @route("GET", "/api/1.0/tasks")
    def task_list(self, call: Call) -> Any:
        project, since = call.param("project"), call.param("modified_since")
        if not project:
            return self.refuse(400, "You should specify one of project, tag, section, user_task_list, or assignee.")
        return self._page(
            call, [t for t in self.tasks.values() if project in t["projects"] and t["modified_at"] >= since]
        )

    @route("GET", "/api/1.0/tasks/{task}/stories")
    def story_list(self, call: Call, task: str) -> Any:
        return self._page(call, self.stories[task]) if task in self.tasks else self.refuse(404, "task: Unknown object")

    @route("GET", "/api/1.0/{one}")
    @route("GET", "/api/1.0/{one}/{two}/{three}")
    def any_list(self, call: Call, **_: str) -> Any:
        path = call.path.removeprefix("/api/1.0/")
        return self._page(call, self.lists[path]) if path in self.lists else self.refuse(404, f"{path}: Unknown object")

    def _page(self, call: Call, rows: list[Json]) -> Json:
        """Of each record its names, and what `opt_fields` asks for."""
        wanted = {"gid", "resource_type", *(f.split(".")[0] for f in call.param("opt_fields").split(","))}
        size, begin = int(call.param("limit", "100")), int(call.param("offset", "0"))
        end = begin + size
        more = {"offset": str(end), "path": call.path, "uri": self.url + call.path} if end < len(rows) else None
        shown = [{k: [{"gid": p} for p in v] if k == "projects" else v for k, v in row.items() if k in wanted}
                 for row in rows[begin:end]]  # fmt: skip
        return {"data": shown, "next_page": more}

    def _object(self, kind: str, gid: str, **fields: Any) -> Json:
        return {"gid": gid, "resource_type": kind, "created_at": iso_ms(BEGIN), **fields}

    def _story(self, task: str, i: int, when: int) -> Json:
        made = self._object("story", f"{task}-{i}", text="Looks good.", type="comment", target={"gid": task})
        return {**made, "created_at": iso_ms(when)}


def iso_ms(seconds: int) -> str:
    """Asana's timestamp."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.asana", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(AsanaStandIn(port=parser.parse_args().port))


if __name__ == "__main__":
    main()
