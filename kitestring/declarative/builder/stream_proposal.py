"""Proposals for a stream of a manifest: what to set at which place of its text, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kitestring.declarative.manifest import parse, resolve
from kitestring.errors import ConfigError

What = Literal["records", "pagination", "cursor", "key", "schema", "auth", "stream"]
Place = list[str | int]


@dataclass(slots=True)
class Edit:
    """A value for a place of the manifest; None takes out what is there."""

    path: Place
    value: Any


@dataclass(slots=True)
class Proposal:
    """`value` is set at `path`, plain JSON; `also` are edits that belong to it.

    `proven`: requests to the real API have shown it. `likely`: names and values look like it. `evidence` is a sentence.
    `warning`: why one should look twice before it is taken.
    """

    what: What
    title: str
    evidence: str
    path: Place
    value: Any
    confidence: Literal["proven", "likely"]
    also: list[Edit] = field(default_factory=list)
    warning: str = ""


class Draft:
    """A manifest that is worked on: its values as they are written, and with references resolved."""

    def __init__(self, manifest: str | Mapping[str, Any], stream: str, documentation: str = "") -> None:
        """`ConfigError` for a manifest that cannot be resolved, or that has no such stream of its own.

        `documentation`: the text of the API's documentation, for the names in it.
        """
        raw = parse(manifest) if isinstance(manifest, str) else manifest
        self.resolved = resolve(raw)
        self.raw: Mapping[str, Any] = raw
        self.stream, self.documentation = stream, documentation
        streams = self.resolved.get("streams")
        names = [item.get("name") if isinstance(item, Mapping) else None for item in streams or ()]
        if stream not in names:
            known = ", ".join(str(name) for name in names if name)
            raise ConfigError(
                f"the manifest has no stream called {stream} of its own",
                hint=f"It has {known}." if known else "Streams that a resolver makes get no proposals.",
            )
        self.index = names.index(stream)

    @property
    def values(self) -> Mapping[str, Any]:
        """The stream, resolved."""
        stream: Mapping[str, Any] = self.resolved["streams"][self.index]
        return stream

    def get(self, *path: str) -> Any:
        """A value inside the stream; None where it is not."""
        value: Any = self.values
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def place(self, *path: str, shared: bool = False) -> Place:
        """The place in the text where a value inside the stream is written, or belongs.

        A reference is followed where an own key would replace the whole part that it refers to. `shared`: also for the
        last part, so that all streams get it.
        """
        place: Place = ["streams", self.index]
        node: Any = self.raw["streams"][self.index]
        for number, part in enumerate(path):
            last = number == len(path) - 1
            for _ in range(20):
                if not isinstance(node, Mapping) or part in node or "$ref" not in node or (last and not shared):
                    break
                target = self._target(str(node["$ref"]))
                if target is None:
                    break
                place, node = target
            place = [*place, part]
            node = node.get(part) if isinstance(node, Mapping) else None
            if (
                isinstance(node, str)
                and node.startswith("#/")
                and (target := self._target(node)) is not None
                and not last
            ):
                place, node = target
        return place

    def _target(self, reference: str) -> tuple[Place, Any] | None:
        """The place that a reference names, and what is there."""
        node: Any = self.raw
        place: Place = []
        rest = reference[2:]
        while rest:
            if isinstance(node, Mapping) and rest in node:
                return [*place, rest], node[rest]
            head, _, rest = rest.partition("/")
            if isinstance(node, list) and head.isdecimal() and int(head) < len(node):
                place, node = [*place, int(head)], node[int(head)]
            elif isinstance(node, Mapping) and head in node:
                place, node = [*place, head], node[head]
            else:
                return None
        return place, node

    def changed(self, *edits: tuple[Sequence[str], Any]) -> dict[str, Any]:
        """The resolved manifest with values set inside the stream; None takes a value out."""
        stream: Any = self.values
        for path, value in edits:
            stream = with_value(stream, path, value)
        streams = list(self.resolved["streams"])
        streams[self.index] = stream
        return {**self.resolved, "streams": streams}


def count_of(records: Sequence[Any]) -> str:
    """How many records, in words."""
    return f"{len(records):,} record{'' if len(records) == 1 else 's'}"


def with_value(node: Any, path: Sequence[str], value: Any) -> Any:
    """A copy with a value set at a path."""
    if not path:
        return value
    values = dict(node) if isinstance(node, Mapping) else {}
    if value is None and len(path) == 1:
        values.pop(path[0], None)
    else:
        values[path[0]] = with_value(values.get(path[0]), path[1:], value)
    return values
