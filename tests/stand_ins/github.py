"""A stand-in for GitHub's REST API: a few repositories with issues, pull requests and what belongs to them.

By hand: `python -m stand_ins.github --port 8080` prints its address; the token is ghp_larkspur. Facts:
docs.github.com/rest (paging by Link header, rate limits, each list's order and filters, apps), read 2026-11. GraphQL is
in `github_graphql.py`, who may call in `github_access.py`. The app is Iv23liLarkspur, its installation 4711.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

import orjson

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.stand_in import Answer, Call, Limit, route, serve
from stand_ins.command_line import argument_parser
from stand_ins.github_access import CLIENT_ID, INSTALLATION, Access
from stand_ins.github_graphql import root
from stand_ins.github_query import execute
from stand_ins.github_repository import API, OWNER, REPOSITORIES, Json, Repository, user
from stand_ins.paged_api import PagedApi

TOKEN = "ghp_larkspur"


class GitHubStandIn(PagedApi):
    """GitHub on 127.0.0.1. `repositories` are the objects behind it, by full name; `forbidden` names path pieces that
    answer 403, as collaborators do without push access. `enterprise`: a server of a company's own, with `/api/v3`
    before its paths, numbered pages of issues and no rate limits. `on_page` is called when a page was answered."""

    name: ClassVar[str] = "GitHub stand-in"
    token_path: ClassVar[str] = "/login/oauth/access_token"
    refusals: ClassVar[Mapping[int, str]] = {
        401: "Bad credentials",
        403: "Must have push access to view repository collaborators.",
    }
    token_ends = ""
    """When the token ends, as GitHub writes it; empty for one that never does."""

    def __init__(
        self,
        *,
        seed: int = 1,
        token: str = TOKEN,
        quotas: Mapping[str, int] | None = None,
        calls_per_token: int | None = None,
        enterprise: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.token = token
        self.access = Access(token, quotas, calls_per_token)
        self.enterprise = enterprise
        self.on_page: Callable[[Call], None] | None = None
        self.deepest_page = 400
        self.graphql_errors: list[Json] = []
        """Answers for the next GraphQL calls, instead of data."""
        repositories = [Repository(name, count, seed) for name, count in REPOSITORIES.items()]
        self.repositories = {r.full_name: r for r in repositories}

    @property
    def config(self) -> Json:
        """A configuration of the source `github` that reads this server."""
        return {
            "credentials": {"option_title": "PAT Credentials", "personal_access_token": self.token},
            "repositories": list(self.repositories),
            "start_date": "2025-01-01T00:00:00Z",
            "api_url": self.url + ("/api/v3" if self.enterprise else ""),
        }

    @property
    def app_config(self) -> Json:
        """The same with the credentials of a GitHub App."""
        credentials = {
            "option_title": "GitHub App Credentials",
            "client_id": CLIENT_ID,
            "installation_id": str(INSTALLATION),
            "private_key": self.access.private_key,
        }
        return {**self.config, "credentials": credentials}

    def answer(self, call: Call) -> Answer:
        if self.enterprise:
            call.path = call.path.removeprefix("/api/v3").replace("/api/graphql", "/graphql")
        return super().answer(call)

    def authorize(self, call: Call) -> Answer | None:
        if call.path.endswith("/access_tokens"):
            authorization = call.headers.get("authorization", "")
            reason = self.access.refusal_of(authorization, time.time() + self.clock_ahead_s)
            return self.refuse(401, reason) if reason else None
        return super().authorize(call)

    def admits(self, call: Call) -> bool:
        return self.access.admits(call.headers.get("authorization", ""))

    def _routed(self, call: Call) -> Answer:
        resource = "graphql" if call.path == "/graphql" else "core"
        headers: dict[str, str] = {}
        if call.path != "/rate_limit":
            allowed, headers = self.access.take(call.headers.get("authorization", ""), resource)
            if not allowed:
                refused = self.refuse(403, "API rate limit exceeded for user ID 1.")
                refused.headers.update(headers)
                return refused
        if self.access.expiry:
            headers["github-authentication-token-expiration"] = self.access.expiry
        answer = super()._routed(call)
        answer.headers = {**headers, **answer.headers}
        return answer

    @route("GET", "/rate_limit")
    def rate_limit(self, call: Call) -> Any:
        """Quotas of a token, and in a header when it ends: of a personal one that does."""
        if self.enterprise:
            return self.refuse(404, "Rate limiting is not enabled.")
        resources = self.access.resources(call.headers.get("authorization", ""))
        ends = {"github-authentication-token-expiration": self.token_ends} if self.token_ends else {}
        return Answer(200, {"resources": resources, "rate": resources["core"]}, ends)

    @route("POST", "/app/installations/{installation}/access_tokens")
    def access_tokens(self, call: Call, installation: str) -> Any:
        if installation != str(INSTALLATION):
            return self.refuse(404, "")
        expires = iso(int(time.time()) + 3600)
        return Answer(201, {"token": self.access.issue(), "expires_at": expires, "permissions": {"contents": "read"}})

    def grant(self, call: Call) -> Any:
        """The refresh of a user token: each refresh token is good once; an error has the status 200."""
        form = parse_qs(call.body.decode())
        pair = self.access.refreshed(form.get("refresh_token", [""])[0])
        if pair is None:
            return {"error": "bad_refresh_token", "error_description": "The refresh token is incorrect or expired."}
        if "json" not in call.headers.get("accept", ""):
            return Answer(200, urlencode(pair), {"Content-Type": "application/x-www-form-urlencoded"})
        return pair

    @route("POST", "/graphql")
    def graphql(self, call: Call) -> Any:
        if self.graphql_errors:
            return {"data": None, "errors": [self.graphql_errors.pop(0)]}
        body = call.json()
        result = execute(root(self.repositories), body["query"], body.get("variables") or {})
        if self.on_page is not None:
            self.on_page(call)
        return result

    def refuse(self, status: int, message: str) -> Answer:
        text = "Not Found" if status == 404 else message
        return Answer(
            status, {"message": text, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
        )

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(limit.calls),
            "x-ratelimit-remaining": str(remaining),
            "x-ratelimit-used": str(limit.calls - remaining),
            "x-ratelimit-reset": str(int(time.time() + reset_s)),
            "x-ratelimit-resource": "core",
        }

    def rate_limited(self, wait_s: float) -> Answer:
        """The primary limit: 403, nothing remaining, and the second in which it is over."""
        answer = self.refuse(403, "API rate limit exceeded for user ID 1.")
        answer.headers["x-ratelimit-remaining"] = "0"
        answer.headers["x-ratelimit-reset"] = str(int(time.time() + wait_s))
        return answer

    # One repository

    @route("GET", "/repos/{owner}/{name}")
    def repository(self, call: Call, owner: str, name: str) -> Any:
        repository = self.repositories.get(f"{owner}/{name}")
        return repository.repository_object() if repository else self.refuse(404, "")

    @route("GET", "/repos/{owner}/{name}/issues")
    def issues(self, call: Call, owner: str, name: str) -> Any:
        return self._sorted(call, owner, name, lambda r: r.issues.values(), since=True)

    @route("GET", "/repos/{owner}/{name}/pulls")
    def pulls(self, call: Call, owner: str, name: str) -> Any:
        return self._sorted(call, owner, name, Repository.pulls)

    @route("GET", "/repos/{owner}/{name}/issues/comments")
    def issue_comments(self, call: Call, owner: str, name: str) -> Any:
        return self._sorted(call, owner, name, lambda r: r.comments, since=True, stated=False)

    @route("GET", "/repos/{owner}/{name}/pulls/comments")
    def review_comments(self, call: Call, owner: str, name: str) -> Any:
        return self._sorted(call, owner, name, lambda r: r.review_comments, since=True, stated=False)

    @route("GET", "/repos/{owner}/{name}/pulls/{number}/reviews")
    def reviews(self, call: Call, owner: str, name: str, number: str) -> Any:
        return self._paged(call, owner, name, lambda r: r.reviews.get(int(number)))

    @route("GET", "/repos/{owner}/{name}/commits")
    def commits(self, call: Call, owner: str, name: str) -> Any:
        since, branch = call.param("since"), call.param("sha", "main")
        repository = self.repositories.get(f"{owner}/{name}")
        if repository is not None and not repository.commits:
            return self.refuse(409, "Git Repository is empty.")

        def rows(r: Repository) -> list[Json] | None:
            commits = r.commits.get(branch)
            return commits and [c for c in commits if c["commit"]["committer"]["date"] >= since]

        return self._paged(call, owner, name, rows)

    @route("GET", "/repos/{owner}/{name}/actions/runs")
    def runs(self, call: Call, owner: str, name: str) -> Any:
        return self._paged(call, owner, name, Repository.runs, "workflow_runs")

    @route("GET", "/repos/{owner}/{name}/actions/runs/{run}/jobs")
    def jobs(self, call: Call, owner: str, name: str, run: str) -> Any:
        return self._paged(call, owner, name, lambda r: r.jobs(int(run)), "jobs")

    @route("GET", "/repos/{owner}/{name}/actions/workflows")
    def workflows(self, call: Call, owner: str, name: str) -> Any:
        return self._paged(
            call, owner, name,
            lambda r: [r._object(600, name="Tests", path=".github/workflows/tests.yml", state="active")], "workflows",
        )  # fmt: skip

    @route("GET", "/repos/{owner}/{name}/issues/events")
    def issue_events(self, call: Call, owner: str, name: str) -> Any:
        return self._paged(call, owner, name, Repository.issue_events)

    @route("GET", "/repos/{owner}/{name}/{collection}")
    def collection(self, call: Call, owner: str, name: str, collection: str) -> Any:
        lists: dict[str, Callable[[Repository], Iterable[Json] | None]] = {
            "releases": Repository.releases,
            "events": Repository.events,
            "labels": lambda r: r.labels,
            "milestones": lambda r: r.milestones,
            "branches": lambda r: [
                {"name": b, "commit": {"sha": c[0]["sha"], "url": c[0]["url"]}, "protected": b == "main"}
                for b, c in r.commits.items()
            ],
            "tags": lambda r: [
                {"name": t["tag_name"], "commit": {"sha": f"{t['id']:040x}", "url": ""}, "node_id": t["node_id"]}
                for t in r.releases()
            ],
            "collaborators": lambda r: [{**user(i), "permissions": {"admin": i == 0, "push": True}} for i in range(4)],
            "assignees": lambda r: [user(i) for i in range(5)],
            "contributors": lambda r: [{**user(i), "contributions": 90 - i} for i in range(12)],
            "deployments": lambda r: [
                r._object(
                    800 + i, sha=f"{i:040x}", ref="main", task="deploy", environment="production", creator=user(1)
                )
                for i in range(3)
            ],
            "comments": lambda r: r.commit_comments,
        }
        return self._paged(call, owner, name, lists[collection]) if collection in lists else self.refuse(404, "")

    # An organization

    @route("GET", "/orgs/{owner}")
    def organization(self, call: Call, owner: str) -> Any:
        if owner != OWNER:
            return self.refuse(404, "")
        return {"id": 1, "login": OWNER, "name": "Larkspur", "url": f"{API}/orgs/{OWNER}", "description": "",
                "public_repos": 3, "created_at": iso(BEGIN), "updated_at": iso(BEGIN)}  # fmt: skip

    @route("GET", "/orgs/{owner}/{collection}")
    def of_organization(self, call: Call, owner: str, collection: str) -> Any:
        rows: dict[str, list[Json]] = {
            "repos": [r.repository_object() for r in self.repositories.values()],
            "members": [user(i) for i in range(6)],
            "teams": [{"id": 11 + i, "name": n, "slug": n.lower(), "privacy": "closed", "permission": "pull",
                       "description": "", "url": f"{API}/teams/{11 + i}", "parent": None}
                      for i, n in enumerate(("Core", "Docs"))],
        }  # fmt: skip
        if owner != OWNER or collection not in rows:
            return self.refuse(404, "")
        return self._page(call, rows[collection])

    @route("GET", "/orgs/{owner}/teams/{team}/members")
    def team_members(self, call: Call, owner: str, team: str) -> Any:
        return self._page(call, [user(i) for i in range(4 if team == "core" else 2)])

    @route("GET", "/orgs/{owner}/teams/{team}/memberships/{username}")
    def team_membership(self, call: Call, owner: str, team: str, username: str) -> Any:
        role = "maintainer" if username == user(0)["login"] else "member"
        return {"url": f"{API}/orgs/{owner}/teams/{team}/memberships/{username}", "role": role, "state": "active"}

    # Paging

    def _sorted(
        self,
        call: Call,
        owner: str,
        name: str,
        rows: Callable[[Repository], Iterable[Json]],
        since: bool = False,
        stated: bool = True,
    ) -> Any:
        """By `sort` and `direction` (newest creation first by default), filtered by `state` and `since`."""
        field = "updated_at" if call.param("sort") == "updated" else "created_at"
        state, after = call.param("state", "open"), call.param("since") if since else ""
        return self._paged(
            call, owner, name,
            lambda r: sorted(
                (i for i in rows(r) if (not stated or state in ("all", i["state"])) and i["updated_at"] >= after),
                key=lambda i: (i[field], i["id"]), reverse=call.param("direction", "desc") == "desc",
            ),
        )  # fmt: skip

    def _paged(
        self, call: Call, owner: str, name: str, rows: Callable[[Repository], Iterable[Json] | None], wrap: str = ""
    ) -> Any:
        repository = self.repositories.get(f"{owner}/{name}")
        page_rows = rows(repository) if repository else None
        return self.refuse(404, "") if page_rows is None else self._page(call, [*page_rows], wrap)

    def _page(self, call: Call, rows: list[Json], wrap: str = "") -> Answer:
        size, page = min(100, int(call.param("per_page", "30"))), int(call.param("page", "1"))
        if page > self.deepest_page:
            return self.refuse(
                422, "In order to keep the API fast for everyone, pagination is limited for this resource."
            )
        last = max(1, -(-len(rows) // size))
        links: dict[str, Any] = {"next": page + 1, "last": last} if page < last else {}
        if page > 1:
            links = {"prev": page - 1, **links, "first": 1}
        begin = (page - 1) * size
        field = "updated_at" if call.param("sort") == "updated" else "created_at"
        keyset = call.path.endswith("/issues") and not self.enterprise
        if keyset and (after := call.param("after")):
            # github.com goes on behind the last issue, wherever that is now; the number is for the eye.
            ascending = call.param("direction", "desc") == "asc"
            begin = sum((_place(row, field) <= after) if ascending else (_place(row, field) >= after) for row in rows)
            links = {"prev": page - 1, **({"next": page + 1} if begin + size < len(rows) else {})}
        page_rows = rows[begin : begin + size]
        body: Any = {"total_count": len(rows), wrap: page_rows} if wrap else list(page_rows)
        position = {"after": _place(page_rows[-1], field)} if keyset and page_rows else {}
        headers = {"Link": ", ".join(f'<{self._link(call, n, position)}>; rel="{rel}"' for rel, n in links.items())}
        answer = Answer(200, orjson.dumps(body), headers if links else {})
        answer.headers["Content-Type"] = "application/json; charset=utf-8"
        if self.on_page is not None:
            self.on_page(call)
        return answer

    def _link(self, call: Call, page: int, position: Json) -> str:
        base = self.url + ("/api/v3" if self.enterprise else "")
        return (
            f"{base}{call.path}?{urlencode({**{k: v[-1] for k, v in call.params.items()}, 'page': page, **position})}"
        )


def _place(row: Json, field: str) -> str:
    return f"{row[field]}~{row['id']}"


def main() -> None:
    parser = argument_parser()
    parser.add_argument("--private-key", type=Path, help="write the key of a GitHub App to this file")
    arguments = parser.parse_args()
    server = GitHubStandIn(port=arguments.port)
    if arguments.private_key is not None:
        arguments.private_key.write_text(server.access.private_key)
    serve(server)


if __name__ == "__main__":
    main()
