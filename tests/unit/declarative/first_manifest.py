"""The parts of a first manifest that tests look at."""

from __future__ import annotations

import json
from typing import Any

import yaml

from kitestring.declarative.builder import validate
from kitestring.declarative.builder.beginning import Beginning

SECRET = "geheim-4711-x"


def manifest_of(beginning: Beginning) -> Any:
    """The manifest, which has no defect and no secret."""
    assert validate(beginning.manifest) == []
    assert SECRET not in beginning.manifest + json.dumps(beginning.notes) + str(beginning.streams)
    return yaml.safe_load(beginning.manifest)


def requester_of(values: Any, number: int = 0) -> Any:
    own = values["streams"][number]["retriever"]["requester"]
    return {**values["definitions"]["requester"], **own}
