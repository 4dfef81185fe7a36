"""`If-Match`: a change of what was loaded is refused where somebody else has changed it since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Header

from kitestring.server.http.problem import Problem

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=1_000, description="The `ETag` of the loaded answer; 412: it changed."),
]


def version_of(values: Sequence[Any]) -> str:
    """What is another where one of the values is another."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def etag(version: str) -> dict[str, str]:
    """The header that a client sends back as `If-Match`."""
    return {"ETag": f'"{version}"'}


def require_match(kind: str, version: str | None, expected: str | None) -> None:
    """412 if a resource of this version is not the expected one. None or `*` expects any; a version of None is gone."""
    if expected is None or expected.strip() == "*":
        return
    if version is None or version not in [part.strip().removeprefix("W/").strip('"') for part in expected.split(",")]:
        raise Problem(
            412,
            f"somebody has changed the {kind} since it was loaded here",
            hint="Load it again: what you see then is the present state. Then repeat your change.",
        )
