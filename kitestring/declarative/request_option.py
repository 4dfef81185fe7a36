"""The options of a request beside its address, and `RequestOption`: where a value is injected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.errors import ConfigError

PLACES = ("request_parameter", "header", "body_data", "body_json")
WITH_BODY = frozenset({"GET", "POST", "PUT", "PATCH"})
"""Methods that send a body; with any other it is left out (the same in airbyte-cdk 7.39.1)."""


class Options:
    """Query parameters, headers and body of one request. The body is a form, a text or JSON."""

    __slots__ = ("form", "headers", "json", "params")

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.form: dict[str, Any] | str = {}
        self.json: Any = {}

    def add(self, place: str, values: Mapping[str, Any]) -> None:
        """Merge values into one place. Raises `ConfigError` for two different values of one name."""
        if place == "body_json":
            merge(self.json, values, place)
        elif place == "header":
            merge(self.headers, {str(k): str(v) for k, v in values.items()}, place)
        elif place == "request_parameter":
            merge(self.params, values, place)
        elif isinstance(self.form, str):
            raise ConfigError("a request cannot carry both a text and a form as its body", hint="Correct the manifest.")
        else:
            merge(self.form, values, place)

    def join(self, other: Options) -> None:
        """Add all values of other options."""
        self.add("request_parameter", other.params)
        self.add("header", other.headers)
        if isinstance(other.form, str):
            self.form = other.form
        elif other.form:
            self.add("body_data", other.form)
        if other.json and isinstance(self.json, dict):
            self.add("body_json", other.json)


def merge(target: Any, values: Mapping[str, Any], place: str) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value
        elif isinstance(target[name], dict) and isinstance(value, Mapping):
            target[name] = dict(target[name])
            merge(target[name], value, f"{place}.{name}")
        elif target[name] != value:
            raise ConfigError(
                f"two components set {name} in the {place.replace('_', ' ')} to different values",
                hint="Correct the manifest: one of them should use another name.",
            )


@keyword("RequestOption")
class RequestOption:
    """Puts a value into the query, a header, the form or the JSON body, under a name or a path of names."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.place = node.need("inject_into")
        if self.place not in PLACES:
            raise node.error(f"{self.place!r} is not one of {', '.join(PLACES)}", "inject_into")
        name, path = node.get("field_name"), node.get("field_path")
        if (name is None) == (path is None):
            raise node.error("needs either `field_name` or `field_path`")
        if path is not None and self.place != "body_json":
            raise node.error(f"a path can be set in body_json, not in {self.place}", "field_path")
        self._path = node.path_of("field_path") if path is not None else [node.text("field_name")]

    @property
    def path(self) -> list[str]:
        """The path of the value: one name, or several for a nested field of the JSON body."""
        return [str(part({})) for part in self._path]

    def inject(self, options: Options, value: Any) -> None:
        *parents, last = self.path
        values: Any = {last: value}
        for part in reversed(parents):
            values = {part: values}
        options.add(self.place, values)


@keyword("RequestPath")
class RequestPath:
    """The token of the next page is the address of the next request."""

    def __init__(self, node: Node, **_: Any) -> None: ...
