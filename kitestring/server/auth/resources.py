"""The resources that a request names: the ids in its path, its query and its body.

Only ids of Kitestring count: the content of a connector's configuration, a manifest, a catalog or a state is the user's
own data, and `workspaceId` there may well be Asana's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = {
    "workspaceid": "workspace",
    "workspaceids": "workspace",
    "organizationid": "organization",
    "sourceid": "source",
    "sourceids": "source",
    "destinationid": "destination",
    "destinationids": "destination",
    "connectionid": "connection",
    "connectionids": "connection",
    "configid": "connection",  # what a job belongs to, in the Config API
    "jobid": "job",
    "jobids": "job",
    "tagid": "tag",
    "tagids": "tag",
    "definitionid": "definition",
    "actordefinitionid": "definition",
    "sourcedefinitionid": "definition",
    "destinationdefinitionid": "definition",
    "permissionid": "permission",
    "projectid": "builder_project",
    "builderprojectid": "builder_project",  # in the Config API
}
"""The kind of a resource by the name of its id, in lower case and without underscores."""
UNSCOPED_IDS = frozenset({"userid", "applicationid", "authuserid"})
"""Ids of what belongs to no workspace: their handlers ask `who.user_id` and `who.instance_admin`."""
INSIDE = frozenset(
    {"tags", "source", "destination", "connection", "job", "sources", "destinations", "connections", "workspace"}
)
"""Fields of a body that hold resources of ours, with ids of their own."""
NOUNS = {"jobs": "job"}
"""Where the Config API calls an id just `id`: `POST /api/v1/jobs/get {"id": 7}`."""
DEEPEST = 3


@dataclass(frozen=True)
class ResourceRef:
    """A resource by kind and id; `place` is path, query or body."""

    kind: str
    id: str
    place: str


def resources_in(
    path: str, path_params: Mapping[str, Any], query: Iterable[tuple[str, str]], body: Any
) -> list[ResourceRef]:
    """Every resource that a request names, each once."""
    resources = [*_pairs(path_params.items(), "path"), *_pairs(query, "query"), *_inside(body, 0)]
    noun = NOUNS.get(path.removeprefix("/api/v1/").partition("/")[0]) if path.startswith("/api/v1/") else None
    if noun and isinstance(body, Mapping) and "id" in body:
        resources += _ids(noun, body["id"], "body")
    return list(dict.fromkeys(resources))


def normalized(name: str) -> str:
    """`source_id`, `sourceId` and `SourceID` are one name."""
    return name.replace("_", "").lower()


def _pairs(pairs: Iterable[tuple[Any, Any]], place: str) -> Iterator[ResourceRef]:
    for name, value in pairs:
        kind = KINDS.get(normalized(str(name)))
        if kind:
            yield from _ids(kind, value, place)


def _inside(node: Any, depth: int) -> Iterator[ResourceRef]:
    if depth > DEEPEST:
        return
    if isinstance(node, list):
        for item in node:
            yield from _inside(item, depth + 1)
    elif isinstance(node, Mapping):
        yield from _pairs(node.items(), "body")
        for name, value in node.items():
            if normalized(str(name)) in INSIDE:
                yield from _inside(value, depth + 1)


def _ids(kind: str, value: Any, place: str) -> Iterator[ResourceRef]:
    for resource_id in value if isinstance(value, list) else [value]:
        if resource_id is None or resource_id == "" or isinstance(resource_id, Mapping | list):
            continue  # no model takes these for an id
        # A model may read 7.0 and true as whole numbers. Their text is no job's, so that they are 404.
        yield ResourceRef(kind, str(resource_id) if kind == "job" else canonical(str(resource_id)), place)


def canonical(text: str) -> str:
    """A UUID as the store has it, however it was written; another text as it is, and it is found nowhere."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text
