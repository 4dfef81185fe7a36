"""The data of a repository of the GitHub stand-in: issues, pull requests, reviews, commits, discussions, reactions."""

from __future__ import annotations

import random
from typing import Any

from kitestring.testing.help_desk.objects import BEGIN, END, iso, seconds_of
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems

Json = dict[str, Any]

OWNER = "larkspur"
REPOSITORIES = {"web": 130, "api": 60, "docs": 25}
API, SITE = "https://api.github.example", "https://github.example"


class Repository:
    """The data of one repository. `now` moves on by a minute with each change."""

    def __init__(self, name: str, count: int, seed: int) -> None:
        self.full_name = f"{OWNER}/{name}"
        self.rng = random.Random(f"{seed}:{name}")
        self.base = (1 + list(REPOSITORIES).index(name) if name in REPOSITORIES else 9) * 100_000
        self.now = END
        self.branches = ["main", "release/2.x"]
        self.run_count = 120
        self.repeated: dict[int, int] = {}
        """When a workflow run was repeated, by the run."""
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
        self.commit_comments = [
            self._object(900 + i, commit_id=f"{i:040x}", body="Nice.", user=user(i), path=None, line=None,
                         position=None, reactions={"total_count": 0})
            for i in range(4)
        ]  # fmt: skip
        self.discussions = [self._discussion(i) for i in range(3)]
        self.reactions: dict[str, list[Json]] = {}
        """By node id of what they are on."""
        for row in (*self.issues.values(), *self.comments, *self.review_comments, *self.commit_comments):
            row["reactions"] = {"total_count": 0}
        self.react(self.issues[1], "+1", "heart")
        self.react(self.issues[4], "rocket")
        self.react(self.comments[0], "+1")
        self.react(self.review_comments[0], "heart")
        self.react(self.commit_comments[0], "+1")

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

    def touch_comment(self, row: Json, **fields: Any) -> Json:
        """Change a comment of an issue or of a review."""
        self.now += 60
        row.update(fields or {"body": row["body"] + " (changed)"}, updated_at=iso(self.now))
        return row

    def merge_commit(self, branch: str, message: str, when: int) -> Json:
        """A commit that was made earlier, on another branch, and came to this one now."""
        commit = self._commit(branch, len(self.commits[branch]), message, when)
        self.commits[branch].append(commit)
        self.commits[branch].sort(key=lambda c: str(c["commit"]["committer"]["date"]), reverse=True)
        return commit

    def add_review(self, number: int, body: str) -> Json:
        self.now += 60
        review = self._review(number, len(self.reviews[number]), self.now, body)
        self.reviews[number].append(review)
        self.issues[number]["updated_at"] = iso(self.now)
        return review

    def change_review(self, number: int, index: int, **fields: Any) -> Json:
        """Edit or dismiss a review: its submission stays as it was, its pull request is changed."""
        self.now += 60
        review = self.reviews[number][index]
        review.update(fields, updated_at=iso(self.now))
        self.issues[number]["updated_at"] = iso(self.now)
        return review

    def add_discussion_comment(self, index: int, body: str, reply_to: int | None = None) -> Json:
        self.now += 60
        talk = self.discussions[index]
        comment = self._discussion_comment(index, len(talk["comments"]), self.now, body, reply_to)
        talk["comments"].append(comment)
        talk["updated_at"] = iso(self.now)
        return comment

    def react(self, row: Json, *contents: str) -> None:
        """Reactions change no `updated_at`."""
        rows = self.reactions.setdefault(row["node_id"], [])
        for content in contents:
            number = self.base * 1000 + row["id"] % 1_000_000 * 100 + len(rows)
            rows.append({"id": number, "node_id": f"REA_{number}", "content": content, "user": user(len(rows)),
                         "created_at": iso(self.now)})  # fmt: skip
        row["reactions"] = {"total_count": len(rows)}

    def pull_commits(self, number: int) -> list[Json]:
        """The commits of a pull request, oldest first."""
        return [
            self._commit(
                f"change-{number}", 10_000 + number * 300 + i, f"Step {i} of {number}", BEGIN + number * 600 + i
            )
            for i in range(1 + number % 3 if number != 8 else 120)
        ]

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
        """Newest first. One that was repeated has another time of its last change."""
        return [
            self._object(7000 + i, created=BEGIN + i * 80_000, updated=self.repeated.get(7000 + i), run_number=i,
                         name="Tests", head_branch="main", head_sha=f"{i:040x}", event="push", status="completed",
                         workflow_id=self.base + 600, conclusion="success" if i % 7 else "failure", actor=user(i))
            for i in reversed(range(self.run_count))
        ]  # fmt: skip

    def repeat_run(self, number: int) -> None:
        self.now += 60
        self.repeated[7000 + number] = self.now

    def jobs(self, run: int) -> list[Json]:
        attempts = 2 if run - self.base in self.repeated else 1
        started = BEGIN + run % 1000 * 80_000
        return [
            {"id": run * 10 + attempt, "node_id": f"CR_{run}{attempt}", "run_id": run, "run_attempt": attempt,
             "name": "tests", "status": "completed", "conclusion": "success", "created_at": iso(started),
             "started_at": iso(started + attempt), "completed_at": iso(started + 600), "steps": [],
             "labels": ["ubuntu-latest"]}
            for attempt in range(1, attempts + 1)
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

    def repository_object(self) -> Json:
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
        # Beyond 31 bits, as the vendor's are since 2024.
        id_ = 2_500_000_000 + self.base * 1000 + number * 1000 + i
        return {"id": id_, "node_id": f"PRR_{id_}", "user": user(number + i), "body": body, "updated_at": iso(when),
                "state": "APPROVED", "submitted_at": iso(when), "commit_id": f"{number:040x}",
                "html_url": f"{SITE}/{self.full_name}/pull/{number}#review-{i}", "author_association": "MEMBER",
                "pull_request_url": f"{API}/repos/{self.full_name}/pulls/{number}"}  # fmt: skip

    def _reviews(self, issue: Json) -> list[Json]:
        created = seconds_of(issue["created_at"])
        return [
            self._review(issue["number"], i, created + 300 * (i + 1), "Looks good.") for i in range(issue["number"] % 3)
        ]

    def _discussion(self, index: int) -> Json:
        created = BEGIN + index * 10**6
        talk = self._object(40_000 + index, created=created, number=2000 + index, title=f"How do I do this? ({index})",
                            body=f"{_PROBLEMS[index].cause}", user=user(index), upvotes=index,
                            author_association="NONE")  # fmt: skip
        talk["comments"] = [
            self._discussion_comment(index, i, created + 600 * (i + 1), f"Try this ({i}).", None)
            for i in range(2 * index)
        ]
        if index:
            answered = talk["comments"][0]["id"]
            talk["comments"].append(self._discussion_comment(index, 900, created + 9000, "That worked.", answered))
        return talk

    def _discussion_comment(self, index: int, i: int, when: int, body: str, reply_to: int | None) -> Json:
        return self._object(41_000 + index * 1000 + i, created=when, body=body, user=user(index + i + 1),
                            reply_to=reply_to, author_association="MEMBER")  # fmt: skip

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


def user(number: int) -> Json:
    login = f"{FIRST_NAMES[number % len(FIRST_NAMES)].lower()}{number}"
    return {"id": 5000 + number, "login": login, "type": "User", "site_admin": False, "html_url": f"{SITE}/{login}"}
