"""A subset of GraphQL for stand-ins: selections with arguments, aliases, variables and inline fragments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\.\.\.|[A-Za-z_]\w*|\$\w+|-?\d+(?:\.\d+)?|[{}()\[\]:!=]')


@dataclass(slots=True)
class Selection:
    """A field, or an inline fragment (`on` names its type) with what is selected in it."""

    name: str
    alias: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    selections: list[Selection] = field(default_factory=list)
    on: str = ""

    def child(self, name: str) -> Selection | None:
        return next((selection for selection in self.selections if selection.name == name), None)


class Query:
    """A parsed query. `ValueError` for what is none."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = TOKEN.findall(text)
        self._place = 0
        self._variables = variables
        while self._peek() not in ("{", ""):
            self._skip()
        self.selections = self._set()
        if self._peek():
            raise ValueError(f"{self._peek()!r} follows the query")

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise ValueError(f"{expected or 'a name'} is expected, not {token or 'the end'!r}")
        self._place += 1
        return token

    def _skip(self) -> None:
        """A word before the selections: `query`, its name, its variables."""
        if self._take() != "(":
            return
        while self._take() != ")":
            pass

    def _set(self) -> list[Selection]:
        self._take("{")
        selections = []
        while self._peek() != "}":
            selections.append(self._selection())
        self._take("}")
        if not selections:
            raise ValueError("nothing is selected between { and }")
        return selections

    def _selection(self) -> Selection:
        name = self._take()
        if name == "...":
            self._take("on")
            return Selection("...", on=self._take(), selections=self._set())
        if not re.match(r"[A-Za-z_]", name):
            raise ValueError(f"{name!r} is not a name")
        selection = Selection(name, alias=name)
        if self._peek() == ":":
            self._take()
            selection.name = self._take()
        if self._peek() == "(":
            self._take()
            while self._peek() != ")":
                argument = self._take()
                self._take(":")
                selection.arguments[argument] = self._value()
            self._take()
        if self._peek() == "{":
            selection.selections = self._set()
        return selection

    def _value(self) -> Any:
        token = self._take()
        if token == "[":
            values = []
            while self._peek() != "]":
                values.append(self._value())
            self._take()
            return values
        if token == "{":
            members = {}
            while self._peek() != "}":
                member = self._take()
                self._take(":")
                members[member] = self._value()
            self._take()
            return members
        if token.startswith("$"):
            return self._variables.get(token[1:])
        if token.startswith('"'):
            return token[1:-1]
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        return {"true": True, "false": False, "null": None}.get(token, token)


Connection = Callable[[list[Any], Selection], Any]


def selected(value: Any, selections: list[Selection], connection: Connection) -> Any:
    """The selected fields of a value; `connection` turns a list into what a selection of `nodes` names."""
    if isinstance(value, list):
        return [selected(item, selections, connection) for item in value]
    if not isinstance(value, dict):
        return value
    return dict(_fields(value, selections, connection))


def _fields(value: dict[str, Any], selections: list[Selection], connection: Connection) -> Iterator[tuple[str, Any]]:
    for selection in selections:
        if selection.on:
            if selection.on in (value.get("__typename"), *value.get("__interfaces", ())):
                yield from _fields(value, selection.selections, connection)
            continue
        inside = value.get(selection.name)
        if inside is None and selection.child("nodes"):
            inside = []
        if isinstance(inside, list) and selection.child("nodes"):
            yield selection.alias, connection(inside, selection)
        else:
            yield (
                selection.alias,
                selected(inside, selection.selections, connection) if selection.selections else inside,
            )


def cost(selections: list[Selection]) -> int:
    """The points of a query: one per object, none per scalar, two per connection plus those of its requested nodes.

    shopify.dev/docs/api/usage/limits, and Shopify's article about it (2021): newer figures are not published.
    """
    points = 0
    for selection in selections:
        nodes = selection.child("nodes")
        if selection.on:
            points += cost(selection.selections)
        elif nodes is not None:
            points += 2 + int(selection.arguments.get("first") or 0) * (1 + cost(nodes.selections))
        elif selection.selections:
            points += 1 + cost(selection.selections)
    return points
