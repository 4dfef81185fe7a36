"""A stand-in for Linear's GraphQL API: issues, comments, projects, documents and customers of a workspace.

It understands the manifest's queries: one root list with its arguments and a selection of fields. By hand:
`python -m stand_ins.linear --port 8080` prints its address; the API key is lin_api_larkspur. Facts:
linear.app/developers (paging, filtering, errors, rate limits, OAuth) and the types of @linear/sdk 98, read 2026-11.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run_with_tokens
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
KEY = "lin_api_larkspur"
CLIENT, SECRET = "larkspur-app", "linear-larkspur"
DAY = 86_400
FILTERED = (
    *("issues", "comments", "projects", "projectUpdates", "documents", "cycles", "attachments", "initiatives"),
    *("initiativeUpdates", "projectMilestones", "customers", "customerNeeds"),
)
UNFILTERED = ("issueRelations", "customerStatuses", "customerTiers", "projectStatuses")
"""Lists that Linear's schema gives no filter."""
ROOTS = (*FILTERED, "teams", "users", "issueLabels", "workflowStates", *UNFILTERED)
CODES = {400: "GRAPHQL_VALIDATION_FAILED", 401: "AUTHENTICATION_ERROR", 429: "RATELIMITED"}


class LinearStandIn(PagedApi):
    """`server.config` opens it. Every change moves `now` on by a day. `lacks` names lists outside the plan."""

    name: ClassVar[str] = "linear"
    token_path: ClassVar[str] = "/oauth/token"
    refusals: ClassVar[Mapping[int, str]] = {401: "Authentication required"}

    def __init__(self, *, issues: int = 24, page: int = 10, **options: Any) -> None:
        super().__init__(**options)
        self.page = page
        self.hidden: set[str] = set()
        """Private teams that the key does not see."""
        self.tokens = TokenEndpoint({CLIENT: SECRET}, lifetime_s=DAY, sent_as=("form",), prefix="lin_oauth")
        self.now = BEGIN
        self.rows: dict[str, list[Json]] = {root: [] for root in ROOTS}
        for n, problem in enumerate(problems()[:issues]):
            issue = self.add("issues", title=problem.title, description=problem.cause, identifier=f"LAR-{n}",
                             team={"id": "teams-0", "key": "LAR", "name": "Larkspur"}, labelIds=[])  # fmt: skip
            for step in problem.steps[: n % 3]:
                self.add("comments", body=step, issue={"id": issue["id"], "identifier": issue["identifier"]})
        for root in ROOTS[2:]:
            for n in range(12 if root == "documents" else 3):
                self.add(root, name=f"{root} {n}", title=f"{root} {n}", content="What we know.", body="On track.")

    @property
    def config(self) -> Json:
        return {"api_key": KEY, "calls_per_hour": 100_000, "base_url": self.url}

    @property
    def oauth_config(self) -> Json:
        """A configuration with a pair from a fresh consent."""
        pair = self.tokens.granted()
        credentials = {"auth_type": "OAuth2.0", "client_id": CLIENT, "client_secret": SECRET,
                       "access_token": pair.access_token, "refresh_token": pair.refresh_token}  # fmt: skip
        return {"credentials": credentials, "calls_per_hour": 100_000, "base_url": self.url}

    def add(self, root: str, **fields: Any) -> Json:
        self.now += DAY
        rows = self.rows[root]
        row = {"id": f"{root}-{len(rows)}", "createdAt": self._time(), "updatedAt": self._time(), **fields}
        rows.append(row)
        return row

    def change(self, row: Json, **fields: Any) -> None:
        self.now += DAY
        row.update(fields, updatedAt=self._time())

    def trash(self, row: Json) -> None:
        self.change(row, trashed=True)
        row["archivedAt"] = row["updatedAt"]

    def _team_of(self, row: Json) -> str:
        """The team that a row belongs to, or is; for a comment that of its issue."""
        issue = next((i for i in self.rows["issues"] if i["id"] == (row.get("issue") or {}).get("id")), row)
        return str((issue.get("team") or issue)["id"])

    def _time(self) -> str:
        return iso(self.now).replace("Z", ".000Z")

    def admits(self, call: Call) -> bool:
        return call.headers.get("authorization") == KEY or super().admits(call)

    def refuse(self, status: int, message: str) -> Answer:
        code = CODES.get(status, "INTERNAL_SERVER_ERROR")
        # Linear tells an exhausted limit with a 400.
        body = {"errors": [{"message": message, "extensions": {"code": code}}]}
        return Answer(400 if status == 429 else status, body)

    def rate_limited(self, wait_s: float) -> Answer:
        answer = self.refuse(429, "Rate limit exceeded")
        reset = str(int((time.time() + wait_s) * 1000))
        answer.headers.update({"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": reset})
        return answer

    @route("POST", "/graphql")
    def graphql(self, call: Call) -> Any:
        body = call.json()
        match = re.search(
            r"(\w+)\(first: \$first, after: \$after, orderBy: updatedAt, includeArchived: true", body["query"]
        )
        if match is None or match[1] not in self.rows or body["query"].count("{") != body["query"].count("}"):
            return self.refuse(400, "Cannot query this")
        if match[1] in self.lacks:
            extensions = {"code": "FEATURE_NOT_ACCESSIBLE", "type": "feature not accessible"}
            return Answer(400, {"errors": [{"message": "Feature not accessible", "extensions": extensions}]})
        if "filter:" in body["query"] and match[1] in UNFILTERED:
            return self.refuse(400, f'Unknown argument "filter" on field "Query.{match[1]}"')
        since = re.search(r'updatedAt: \{ gte: "([^"]*)" \}', body["query"])
        team = re.search(r'team: \{ id: \{ eq: "([^"]*)" \} \}', body["query"])
        rows = [
            row
            for row in self.rows[match[1]]
            if (since is None or row["updatedAt"] >= since[1])
            and (not self.hidden or self._team_of(row) not in self.hidden)
            and (team is None or self._team_of(row) == team[1])
        ]
        rows.sort(key=lambda row: row["updatedAt"], reverse=True)
        start = int((body["variables"].get("after") or "after-0").removeprefix("after-"))
        end = start + min(self.page, body["variables"]["first"])
        fields = selected(body["query"])
        nodes = [{name: row.get(name) for name in fields} for row in rows[start:end]]
        return {
            "data": {
                match[1]: {"nodes": nodes, "pageInfo": {"hasNextPage": end < len(rows), "endCursor": f"after-{end}"}}
            }
        }


def selected(query: str) -> list[str]:
    """The names that the query selects directly under `nodes`."""
    depth, names = 0, []
    for token in re.findall(r"[{}]|\w+", query.partition("nodes")[2]):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth == 0:
            break
        if depth == 1 and token not in "{}":
            names.append(token)
    return names


if __name__ == "__main__":
    run_with_tokens(LinearStandIn)
