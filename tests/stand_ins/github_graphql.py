"""The GraphQL half of the GitHub stand-in: repositories, pull requests, reviews, discussions, reactions by node id.

Lists have the vendor's cursors: they name the last object of a page, so nothing moves across a page's edge. Facts:
GitHub's public schema (docs.github.com/public/fpt/schema.docs.graphql), read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from kitestring.testing.help_desk.objects import BEGIN, iso
from stand_ins.github_query import Object, QueryError
from stand_ins.github_repository import OWNER, SITE, Json, Repository

LONGEST_PAGE = 100
CONTENTS = {"+1": "THUMBS_UP", "heart": "HEART", "rocket": "ROCKET"}
Order = Callable[[Json], Any]


def root(repositories: dict[str, Repository]) -> Object:
    """The root object of a query."""

    def repository(owner: str, name: str) -> Object:
        repository_data = repositories.get(f"{owner}/{name}")
        if repository_data is None:
            raise QueryError(f"Could not resolve to a Repository with the name '{owner}/{name}'.", type="NOT_FOUND")
        return of_repository(repository_data)

    def node(id: str) -> Any:
        for repository_data in repositories.values():
            if (item := _by_id(repository_data, id)) is not None:
                return item
        if id.startswith("PVT_"):
            return project(repositories, int(id.removeprefix("PVT_")))
        return QueryError(f"Could not resolve to a node with the global id of '{id}'", type="NOT_FOUND")

    def single_node(id: str) -> Any:
        item = node(id)
        if isinstance(item, QueryError):
            raise item
        return item

    def nodes(ids: list[str]) -> list[Any]:
        if len(ids) > LONGEST_PAGE:
            raise QueryError(f"You may not provide more than {LONGEST_PAGE} node ids; you provided {len(ids)}.")
        return [node(id) for id in ids]

    def owner(login: str) -> Object | None:
        return Object("Organization", {"projectsV2": projects}, ("ProjectV2Owner",)) if login == OWNER else None

    return Object("Query", {"repository": repository, "repositoryOwner": owner, "node": single_node, "nodes": nodes})


def _by_id(repository: Repository, node_id: str) -> Object | None:
    for issue in repository.issues.values():
        if issue["node_id"] == node_id:
            return pull_request(repository, issue) if "pull_request" in issue else reactable(repository, "Issue", issue)
    for type_, rows in (
        ("IssueComment", repository.comments),
        ("PullRequestReviewComment", repository.review_comments),
        ("CommitComment", repository.commit_comments),
    ):
        for row in rows:
            if row["node_id"] == node_id:
                return reactable(repository, type_, row)
    for talk in repository.discussions:
        if talk["node_id"] == node_id:
            return discussion(repository, talk)
        for comment in talk["comments"]:
            if comment["node_id"] == node_id:
                return discussion_comment(repository, talk, comment)
    return None


def of_repository(repository: Repository) -> Object:
    def pull_requests(orderBy: Json, first: int, after: str | None = None) -> Object:
        rows = [issue for issue in repository.issues.values() if "pull_request" in issue]
        return connection("PullRequest", rows, lambda row: pull_request(repository, row), _order(orderBy), first, after)

    def discussions(first: int, after: str | None = None, orderBy: Json | None = None) -> Object:
        order = _order(orderBy or {"field": "UPDATED_AT", "direction": "DESC"})
        return connection(
            "Discussion", repository.discussions, lambda row: discussion(repository, row), order, first, after
        )

    def stargazers(first: int, after: str | None = None, orderBy: Json | None = None) -> Object:
        rows = [{**star, "id": star["user"]["id"]} for star in repository.stargazers()]
        order = _order(orderBy) if orderBy else None
        return connection(
            "Stargazer", rows, lambda row: actor(row["user"]), order, first, after,
            edges=lambda row: {"starredAt": row["starred_at"]},
        )  # fmt: skip

    return Object(
        "Repository",
        {
            "nameWithOwner": repository.full_name,
            "databaseId": repository.base,
            "pullRequests": pull_requests,
            "discussions": discussions,
            "stargazers": stargazers,
        },
    )


def _order(order: Json) -> tuple[Order, bool]:
    field = {"UPDATED_AT": "updated_at", "CREATED_AT": "created_at", "STARRED_AT": "starred_at"}[order["field"]]
    return (lambda row: (row[field], row["id"])), order["direction"] == "DESC"


def connection(
    type_: str,
    rows: Iterable[Json],
    node_of: Callable[[Json], Object | None],
    order: tuple[Order, bool] | None,
    first: int | None,
    after: str | None,
    edges: Callable[[Json], Json] | None = None,
) -> Object:
    """A page of a list, behind the object that the cursor names."""
    if not first:
        raise QueryError(
            f"You must provide a `first` or `last` value to properly paginate the `{type_}` connection.",
            type="MISSING_PAGINATION_BOUNDARIES",
        )
    if first > LONGEST_PAGE:
        raise QueryError(
            f"Requesting {first} records on the `{type_}` connection exceeds the `first` limit of 100 records.",
            type="EXCESSIVE_PAGINATION",
        )
    key, descending = order or ((lambda row: (row["id"],)), False)
    listed = sorted(rows, key=key, reverse=descending)
    rows_left = listed
    if after:
        place = _opened(after)
        rows_left = [row for row in listed if (at := list(key(row))) != place and (at < place) == descending]
    page = rows_left[:first]
    end = _sealed(key(page[-1])) if page else None
    info = {
        "hasNextPage": len(rows_left) > first,
        "hasPreviousPage": bool(after),
        "endCursor": end,
        "startCursor": None,
    }
    fields: Json = {
        "totalCount": len(listed),
        "nodes": [node_of(row) for row in page],
        "pageInfo": Object("PageInfo", info),
    }
    if edges is not None:
        fields["edges"] = [
            Object(f"{type_}Edge", {**edges(row), "node": node_of(row), "cursor": _sealed(key(row))}) for row in page
        ]
    return Object(f"{type_}Connection", fields)


def _sealed(place: tuple[Any, ...]) -> str:
    return base64.b64encode(b"cursor:v2:" + orjson.dumps(list(place))).decode()


def _opened(cursor: str) -> list[Any]:
    try:
        place: list[Any] = orjson.loads(base64.b64decode(cursor).removeprefix(b"cursor:v2:"))
    except (binascii.Error, orjson.JSONDecodeError):
        raise QueryError(f"`{cursor}` does not appear to be a valid cursor.", type="INVALID_CURSOR_ARGUMENTS") from None
    return place


def actor(user: Json | None) -> Object | None:
    if user is None:
        return None
    login = user["login"].removesuffix("[bot]")
    fields = {"login": login, "url": user["html_url"], "avatarUrl": f"{SITE}/a/{user['id']}", "databaseId": user["id"],
              "id": f"U_{user['id']}"}  # fmt: skip
    if user["type"] == "User":
        fields["isSiteAdmin"] = user["site_admin"]
    return Object(user["type"], fields, ("Actor", "Node"))


def texted(row: Json) -> Json:
    """The fields of the interface Comment."""
    return {
        "id": row["node_id"],
        "databaseId": row["id"] if row["id"] < 2**31 else None,
        "body": row["body"],
        "url": row["html_url"],
        "author": actor(row["user"]),
        "authorAssociation": row.get("author_association", "NONE"),
        "createdAt": row.get("created_at") or row.get("submitted_at"),
        "updatedAt": row.get("updated_at"),
        "lastEditedAt": row.get("last_edited_at"),
    }


def projects(first: int, after: str | None = None) -> Object:
    rows = [{"id": number} for number in (1, 2)]
    return connection("ProjectV2", rows, lambda row: project({}, row["id"]), None, first, after)


def project(repositories: dict[str, Repository], number: int) -> Object:
    """A board of the organization; on it are the first issues of each repository, and a draft."""

    def items(first: int, after: str | None = None) -> Object:
        rows = [{"id": number * 10**7 + 600_000, "draft": f"Plan the next release ({number})"}]
        for repository in repositories.values():
            rows += [
                {"id": number * 10**7 + issue["id"], "issue": issue, "held": repository}
                for issue in [*repository.issues.values()][:20]
            ]
        return connection("ProjectV2Item", rows, item, None, first, after)

    times = {"createdAt": iso(BEGIN), "updatedAt": iso(BEGIN)}
    fields = {
        "id": f"PVT_{number}",
        "fullDatabaseId": str(7000 + number),
        "number": number,
        "title": f"Roadmap {number}",
        "shortDescription": None,
        "readme": "What comes next.",
        "url": f"{SITE}/orgs/{OWNER}/projects/{number}",
        "public": False,
        "template": False,
        "closed": False,
        "closedAt": None,
        "creator": None,
        "items": items,
        **times,
    }
    return Object("ProjectV2", fields, ("Node",))


def item(row: Json) -> Object:
    def values(first: int) -> Object:
        status = Object("ProjectV2SingleSelectField", {"name": "Status"}, ("ProjectV2FieldCommon",))
        points = Object("ProjectV2Field", {"name": "Points"}, ("ProjectV2FieldCommon",))
        nodes = [
            Object("ProjectV2ItemFieldSingleSelectValue", {"name": "In progress", "field": status}),
            Object("ProjectV2ItemFieldNumberValue", {"number": 3.0, "field": points}),
            Object("ProjectV2ItemFieldLabelValue", {}),
        ]
        return Object("ProjectV2ItemFieldValueConnection", {"nodes": nodes})

    if "draft" in row:
        content = Object("DraftIssue", {"id": f"DI_{row['id']}", "title": row["draft"], "body": "With the whole team."})
    else:
        issue, repository = row["issue"], row["held"]
        named = Object("Repository", {"nameWithOwner": repository.full_name})
        type_ = "PullRequest" if "pull_request" in issue else "Issue"
        content = Object(type_, {"id": issue["node_id"], "number": issue["number"], "title": issue["title"],
                                 "url": issue["html_url"], "repository": named})  # fmt: skip
    fields = {"id": f"PVTI_{row['id']}", "fullDatabaseId": str(row["id"]), "isArchived": False, "content": content,
              "type": "DRAFT_ISSUE" if "draft" in row else "ISSUE", "creator": None, "fieldValues": values,
              "createdAt": iso(BEGIN), "updatedAt": iso(BEGIN)}  # fmt: skip
    return Object("ProjectV2Item", fields, ("Node",))


def reacting(repository: Repository, node_id: str) -> Callable[..., Object]:
    def reactions(first: int, after: str | None = None) -> Object:
        def reaction_object(row: Json) -> Object:
            return Object(
                "Reaction",
                {"id": row["node_id"], "databaseId": row["id"], "content": CONTENTS[row["content"]],
                 "createdAt": row["created_at"], "user": actor(row["user"])},
            )  # fmt: skip

        return connection("Reaction", repository.reactions.get(node_id, []), reaction_object, None, first, after)

    return reactions


def reactable(repository: Repository, type_: str, row: Json) -> Object:
    fields = {**texted(row), "reactions": reacting(repository, row["node_id"])}
    return Object(type_, fields, ("Node", "Reactable", "Comment"))


def pull_request(repository: Repository, issue: Json) -> Object:
    number = issue["number"]

    def reviews(first: int, after: str | None = None) -> Object:
        return connection("PullRequestReview", repository.reviews[number], review, None, first, after)

    def commits(first: int, after: str | None = None) -> Object:
        rows = [{**commit, "id": 100 + i} for i, commit in enumerate(repository.pull_commits(number))]

        def commit_object(row: Json) -> Object:
            return Object("PullRequestCommit", {"commit": commit_of(row), "id": f"PC_{row['sha']}"})

        return connection("PullRequestCommit", rows, commit_object, None, first, after)

    fields = {
        **texted(issue),
        "fullDatabaseId": str(issue["id"]),
        "number": number,
        "title": issue["title"],
        "state": "MERGED" if issue["closed_at"] else "OPEN",
        "merged": bool(issue["closed_at"]),
        "mergedAt": issue["closed_at"],
        "mergedBy": actor(issue["user"]) if issue["closed_at"] else None,
        "mergeable": "UNKNOWN",
        "maintainerCanModify": False,
        "additions": 10 + number,
        "deletions": number % 7,
        "changedFiles": 1 + number % 5,
        "reviewDecision": "APPROVED" if repository.reviews[number] else None,
        "reviews": reviews,
        "commits": commits,
        "comments": counted("IssueCommentConnection", issue["comments"]),
        "reviewThreads": counted("PullRequestReviewThreadConnection", number % 3),
        "reactions": reacting(repository, issue["node_id"]),
    }
    return Object("PullRequest", fields, ("Node", "Reactable", "Comment"))


def counted(type_: str, count: int) -> Callable[..., Object]:
    def connected(first: int | None = None) -> Object:
        return Object(type_, {"totalCount": count})

    return connected


def review(row: Json) -> Object:
    fields = {
        **texted(row),
        "fullDatabaseId": str(row["id"]),
        "state": row["state"],
        "submittedAt": row["submitted_at"],
        "commit": Object("Commit", {"oid": row["commit_id"]}),
    }
    return Object("PullRequestReview", fields, ("Node", "Comment"))


def commit_of(row: Json) -> Object:
    def signed(who: str) -> Object:
        named = row["commit"][who]
        return Object("GitActor", {"name": named["name"], "email": named["email"], "date": named["date"],
                                   "user": actor(row[who])})  # fmt: skip

    fields = {"oid": row["sha"], "id": row["node_id"], "url": row["html_url"], "message": row["commit"]["message"],
              "committedDate": row["commit"]["committer"]["date"], "authoredDate": row["commit"]["author"]["date"],
              "additions": 5, "deletions": 1, "changedFilesIfAvailable": 2,
              "author": signed("author"), "committer": signed("committer")}  # fmt: skip
    return Object("Commit", fields, ("Node",))


def discussion(repository: Repository, talk: Json) -> Object:
    def comments(first: int, after: str | None = None) -> Object:
        rows = [row for row in talk["comments"] if row["reply_to"] is None]
        return connection(
            "DiscussionComment", rows, lambda row: discussion_comment(repository, talk, row), None, first, after
        )

    fields = {
        **texted(talk),
        "number": talk["number"],
        "title": talk["title"],
        "locked": False,
        "activeLockReason": None,
        "closed": False,
        "closedAt": None,
        "stateReason": None,
        "isAnswered": None,
        "answer": None,
        "answerChosenAt": None,
        "answerChosenBy": None,
        "upvoteCount": talk["upvotes"],
        "category": Object("DiscussionCategory", {"id": "DIC_1", "name": "Q&A", "slug": "q-a", "emoji": ":pray:",
                                                  "isAnswerable": True}),
        "labels": lambda first: Object("LabelConnection", {"nodes": [Object("Label", {"name": "question"})]}),
        "comments": comments,
        "reactions": reacting(repository, talk["node_id"]),
    }  # fmt: skip
    return Object("Discussion", fields, ("Node", "Reactable", "Comment"))


def discussion_comment(repository: Repository, talk: Json, row: Json) -> Object:
    def replies(first: int, after: str | None = None) -> Object:
        rows = [reply for reply in talk["comments"] if reply["reply_to"] == row["id"]]
        return connection(
            "DiscussionComment", rows, lambda reply: discussion_comment(repository, talk, reply), None, first, after
        )

    parent = next((reply for reply in talk["comments"] if reply["id"] == row["reply_to"]), None)
    fields = {
        **texted(row),
        "isAnswer": False,
        "isMinimized": False,
        "minimizedReason": None,
        "deletedAt": None,
        "upvoteCount": 0,
        "replyTo": parent and Object("DiscussionComment", {"databaseId": parent["id"], "id": parent["node_id"]}),
        "replies": replies,
        "reactions": reacting(repository, row["node_id"]),
    }
    return Object("DiscussionComment", fields, ("Node", "Reactable", "Comment"))
