"""A stand-in for GitHub's REST API: a few repositories with issues, pull requests and what belongs to them.

For people: `python -m kitestring.testing.github --port 8080` prints its address; the token is ghp_larkspur. Facts:
docs.github.com/rest (paging by Link header, rate limits, each list's order and filters), read 2026-11.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar
from urllib.parse import urlencode

from kitestring.testing.help_desk.objects import BEGIN, END, iso, seconds_of
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve

Json = dict[str, Any]

OWNER = "larkspur"
REPOSITORIES = {"web": 130, "api": 60, "docs": 25}
TOKEN = "ghp_larkspur"  # noqa: S105 - opens nothing but this server
API, SITE = "https://api.github.example", "https://github.example"


class Repository:
    """What one repository holds. `now` moves on by a minute with each change."""

    def __init__(self, name: str, count: int, seed: int) -> None:
        self.full_name = f"{OWNER}/{name}"
        self.rng = random.Random(f"{seed}:{name}")
        self.base = (1 + list(REPOSITORIES).index(name) if name in REPOSITORIES else 9) * 100_000
        self.now = END
        self.branches = ["main", "release/2.x"]
        self.labels = [
            {"id": self.base + i, "name": n, "color": "d73a4a", "default": i == 0, "description": "", "url": ""}
            for i, n in enumerate(("bug", "feature", "documentation", "question"))
        ]
        self.milestones = [self._object(10 + i, number=1 + i, title=f"Version {i + 2}", state="open") for i in range(3)]
        self.issues = {n: self._issue(n, count) for n in range(1, count + 1)}
        self.comments = [c for issue in self.issues.values() for c in self._comments(issue)]
        self.reviews = {n: self._reviews(issue) for n, issue in self.issues.items() if "pull_request" in issue}
        self.review_comments = [
            self._object(
                50_000 + n * 10 + i,
                created=seconds_of(review["submitted_at"]),
                body=f"Please name this differently ({i}).",
                path="src/main.py",
                line=10 + i,
                commit_id=f"{n:040x}",
                pull_request_review_id=review["id"],
                pull_request_url=f"{API}/repos/{self.full_name}/pulls/{n}",
                user=review["user"],
            )
            for n, reviews in self.reviews.items()
            for i, review in enumerate(reviews)
        ]
        self.commits = {b: self._commits(b, 90 if b == "main" else 12) for b in self.branches}

    def touch_issue(self, number: int, **fields: Any) -> Json:
        """Change an issue (or pull request); it moves to the end of the list by update."""
        self.now += 60
        issue = self.issues[number]
        issue.update(fields or {"title": issue["title"] + " (changed)"}, updated_at=iso(self.now))
        return issue

    def add_commit(self, branch: str, message: str) -> Json:
        self.now += 60
        commit = self._commit(branch, len(self.commits[branch]), message, self.now)
        self.commits[branch].insert(0, commit)
        return commit

    def add_review(self, number: int, body: str) -> Json:
        self.now += 60
        review = self._review(number, len(self.reviews[number]), self.now, body)
        self.reviews[number].append(review)
        self.issues[number]["updated_at"] = iso(self.now)
        return review

    def pulls(self) -> list[Json]:
        out = []
        for issue in self.issues.values():
            if "pull_request" in issue:
                keep = {k: v for k, v in issue.items() if k not in ("pull_request", "comments")}
                head = {"ref": f"change-{issue['number']}", "sha": f"{issue['number']:040x}"}
                base = {"ref": "main", "sha": "0" * 40}
                out.append({**keep, "draft": False, "head": head, "base": base, "merge_commit_sha": None,
                            "merged_at": issue["closed_at"], "requested_reviewers": []})  # fmt: skip
        return out

    def releases(self) -> list[Json]:
        return [
            self._object(400 + i, created=BEGIN + i * 10**6, tag_name=f"v2.{i}.0", name=f"Version 2.{i}", draft=False,
                         prerelease=False, body=f"What is new in 2.{i}.", author=user(i), assets=[],
                         target_commitish="main", published_at=iso(BEGIN + i * 10**6))
            for i in reversed(range(8))
        ]  # fmt: skip

    def runs(self) -> list[Json]:
        return [
            self._object(7000 + i, created=BEGIN + i * 80_000, run_number=i, name="Tests", head_branch="main",
                         head_sha=f"{i:040x}", event="push", status="completed", workflow_id=self.base + 600,
                         conclusion="success" if i % 7 else "failure", actor=user(i))
            for i in reversed(range(120))
        ]  # fmt: skip

    def events(self) -> list[Json]:
        return [
            {"id": str(self.base + 9000 + i), "type": "IssuesEvent", "actor": user(i), "payload": {"action": "opened"},
             "repo": {"id": self.base, "name": self.full_name}, "public": True, "created_at": iso(END - i * 3600)}
            for i in range(45)
        ]  # fmt: skip

    def issue_events(self) -> list[Json]:
        return [
            {"id": self.base + 20_000 + n, "event": "labeled", "actor": user(n), "created_at": i["created_at"],
             "commit_id": None, "label": {"name": i["labels"][0]["name"], "color": "d73a4a"}, "issue": {"number": n}}
            for n, i in reversed(self.issues.items())
        ]  # fmt: skip

    def stargazers(self) -> list[Json]:
        return [{"starred_at": iso(BEGIN + i * 50_000), "user": user(100 + i)} for i in range(140)]

    def shown(self) -> Json:
        return self._object(
            0,
            name=self.full_name.partition("/")[2],
            full_name=self.full_name,
            owner={"login": OWNER, "id": 1, "type": "Organization"},
            private=False,
            description=f"The {self.full_name} of Larkspur",
            default_branch="main",
            stargazers_count=140,
            open_issues_count=sum(i["state"] == "open" for i in self.issues.values()),
            topics=["larkspur"],
            language="Python",
            pushed_at=iso(self.now),
            archived=False,
            fork=False,
        )

    def _object(self, offset: int, *, created: int = BEGIN, updated: int | None = None, **fields: Any) -> Json:
        place = f"{self.full_name}/{offset}"
        stamps = {"created_at": iso(created), "updated_at": iso(updated or created)}
        return {"id": self.base + offset, "node_id": f"N_{self.base + offset}", "url": f"{API}/repos/{place}",
                "html_url": f"{SITE}/{place}", **stamps, **fields}  # fmt: skip

    def _issue(self, number: int, count: int) -> Json:
        problem = self.rng.choice(_PROBLEMS)
        created = BEGIN + (END - BEGIN - 10**6) * number // (count + 1)
        closed = self.rng.random() < 0.5
        updated = created + self.rng.randrange(600, 10**6)
        issue = self._object(
            1000 + number,
            created=created,
            updated=updated,
            number=number,
            title=f"{problem.title} ({number})",
            body=f"{problem.cause}\n\n{' '.join(problem.steps)}",
            state="closed" if closed else "open",
            state_reason="completed" if closed else None,
            closed_at=iso(updated) if closed else None,
            user=user(number),
            labels=[self.rng.choice(self.labels)],
            assignee=None,
            assignees=[],
            milestone=None,
            locked=False,
            comments=number % 3,
            author_association="MEMBER",
        )
        if number % 4 == 0:
            issue["pull_request"] = {"url": f"{API}/repos/{self.full_name}/pulls/{number}"}
        return issue

    def _comments(self, issue: Json) -> list[Json]:
        number, created = issue["number"], seconds_of(issue["created_at"])
        return [
            self._object(10_000 + number * 10 + i, created=created + 600 * (i + 1), user=user(number + i),
                         body=f"I see it too, in {self.rng.choice(FIRST_NAMES)}'s workspace.",
                         issue_url=f"{API}/repos/{self.full_name}/issues/{number}", author_association="NONE")
            for i in range(issue["comments"])
        ]  # fmt: skip

    def _review(self, number: int, i: int, when: int, body: str) -> Json:
        return {"id": self.base + 30_000 + number * 10 + i, "user": user(number + i), "body": body,
                "state": "APPROVED", "submitted_at": iso(when), "commit_id": f"{number:040x}",
                "html_url": f"{SITE}/{self.full_name}/pull/{number}#review-{i}", "author_association": "MEMBER",
                "pull_request_url": f"{API}/repos/{self.full_name}/pulls/{number}"}  # fmt: skip

    def _reviews(self, issue: Json) -> list[Json]:
        created = seconds_of(issue["created_at"])
        return [
            self._review(issue["number"], i, created + 300 * (i + 1), "Looks good.") for i in range(issue["number"] % 3)
        ]

    def _commit(self, branch: str, i: int, message: str, when: int) -> Json:
        author = {"name": FIRST_NAMES[i % 30], "email": f"dev{i % 30}@larkspur.example", "date": iso(when)}
        sha = f"{self.base + (i if branch == 'main' else 5000 + i):040x}"
        return {"sha": sha, "node_id": f"C_{sha}", "url": f"{API}/repos/{self.full_name}/commits/{sha}",
                "html_url": f"{SITE}/{self.full_name}/commit/{sha}", "author": user(i), "committer": user(i),
                "commit": {"message": message, "author": author, "committer": author, "comment_count": 0},
                "parents": []}  # fmt: skip

    def _commits(self, branch: str, count: int) -> list[Json]:
        step = (END - BEGIN) // (count + 1)
        return [
            self._commit(branch, i, f"{_PROBLEMS[i % 60].title}: step {i}", BEGIN + i * step)
            for i in reversed(range(count))
        ]


_PROBLEMS = problems()


class GitHubStandIn(StandIn):
    """GitHub on 127.0.0.1. `repositories` are the objects behind it, by full name; `forbidden` names path pieces that
    answer 403, as collaborators do without push access."""

    name: ClassVar[str] = "GitHub stand-in"

    def __init__(
        self,
        *,
        seed: int = 1,
        token: str = TOKEN,
        forbidden: Collection[str] = (),
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.token = token
        self.forbidden = forbidden
        found = [Repository(name, count, seed) for name, count in REPOSITORIES.items()]
        self.repositories = {r.full_name: r for r in found}

    @property
    def config(self) -> Json:
        """A configuration of the source `github` that reads this server."""
        return {
            "credentials": {"option_title": "PAT Credentials", "personal_access_token": self.token},
            "repositories": list(self.repositories),
            "start_date": "2025-01-01T00:00:00Z",
            "api_url": self.url,
        }

    def authorize(self, call: Call) -> Answer | None:
        kind, _, value = call.headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "token") or value != self.token:
            return self.refuse(401, "Bad credentials")
        if any(piece in call.path for piece in self.forbidden):
            return self.refuse(403, "Must have push access to view repository collaborators.")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        said = "Not Found" if status == 404 else message
        return Answer(
            status, {"message": said, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
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
        found = self.repositories.get(f"{owner}/{name}")
        return found.shown() if found else self.refuse(404, "")

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
            found = r.commits.get(branch)
            return found and [c for c in found if c["commit"]["committer"]["date"] >= since]

        return self._paged(call, owner, name, rows)

    @route("GET", "/repos/{owner}/{name}/actions/runs")
    def runs(self, call: Call, owner: str, name: str) -> Any:
        return self._paged(call, owner, name, Repository.runs, "workflow_runs")

    @route("GET", "/repos/{owner}/{name}/actions/workflows")
    def workflows(self, call: Call, owner: str, name: str) -> Any:
        return self._paged(
            call, owner, name,
            lambda r: [r._object(600, name="Tests", path=".github/workflows/tests.yml", state="active")], "workflows",
        )  # fmt: skip

    @route("GET", "/repos/{owner}/{name}/issues/events")
    def issue_events(self, call: Call, owner: str, name: str) -> Any:
        return self._paged(call, owner, name, Repository.issue_events)

    @route("GET", "/repos/{owner}/{name}/stargazers")
    def stargazers(self, call: Call, owner: str, name: str) -> Any:
        dated = "star+json" in call.headers.get("accept", "")
        return self._paged(call, owner, name, lambda r: [s if dated else s["user"] for s in r.stargazers()])

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
            "comments": lambda r: [
                r._object(
                    900 + i, commit_id=f"{i:040x}", body="Nice.", user=user(i), path=None, line=None, position=None
                )
                for i in range(4)
            ],
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
            "repos": [r.shown() for r in self.repositories.values()],
            "members": [user(i) for i in range(6)],
            "teams": [{"id": 11 + i, "name": n, "slug": n.lower(), "privacy": "closed", "permission": "pull",
                       "description": "", "url": f"{API}/teams/{11 + i}", "parent": None}
                      for i, n in enumerate(("Core", "Docs"))],
        }  # fmt: skip
        if owner != OWNER or collection not in rows:
            return self.refuse(404, "")
        return self._page(call, rows[collection])

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
        found = rows(repository) if repository else None
        return self.refuse(404, "") if found is None else self._page(call, [*found], wrap)

    def _page(self, call: Call, rows: list[Json], wrap: str = "") -> Answer:
        size, page = min(100, int(call.param("per_page", "30"))), int(call.param("page", "1"))
        last = max(1, -(-len(rows) // size))
        links = {"next": page + 1, "last": last} if page < last else {}
        if page > 1:
            links = {"prev": page - 1, **links, "first": 1}
        body: Any = rows[(page - 1) * size : page * size]
        if wrap:
            body = {"total_count": len(rows), wrap: body}
        headers = {"Link": ", ".join(f'<{self._link(call, n)}>; rel="{rel}"' for rel, n in links.items())}
        return Answer(200, body, headers if links else {})

    def _link(self, call: Call, page: int) -> str:
        return f"{self.url}{call.path}?{urlencode({**{k: v[-1] for k, v in call.params.items()}, 'page': page})}"


def user(number: int) -> Json:
    login = f"{FIRST_NAMES[number % len(FIRST_NAMES)].lower()}{number}"
    return {"id": 5000 + number, "login": login, "type": "User", "site_admin": False, "html_url": f"{SITE}/{login}"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.github", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(GitHubStandIn(port=parser.parse_args().port))


if __name__ == "__main__":
    main()
