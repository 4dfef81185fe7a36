"""Transformations: change a record in place."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.paths import delete_values, set_value, value_at, values_at
from kitestring.types import Record

Context = dict[str, Any]
TYPES: dict[str, type] = {"string": str, "number": float, "integer": int, "boolean": bool}


def value_types(node: Node) -> tuple[type, ...] | None:
    name = node.get("value_type")
    if name is None:
        return None
    if name not in TYPES:
        raise node.error(f"is {name!r}, one of {', '.join(TYPES)} is expected", "value_type")
    return (TYPES[name],)


@keyword("AddedFieldDefinition")
class AddedFieldDefinition:
    """One field of `AddFields`: a path and a template."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.path = [str(part) for part in node.items("path")]
        if not self.path:
            raise node.error("needs at least one name", "path")
        self.value = node.needed_text("value", types=value_types(node))


@keyword("AddFields")
class AddFields:
    """Sets fields. A condition, which also sees `value` and `path`, can exclude some."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._fields: list[AddedFieldDefinition] = node.children("fields", "AddedFieldDefinition")
        condition = node.get("condition")
        self._condition = node.condition(condition) if condition else None

    def transform(self, record: Record, context: Context) -> None:
        for definition in self._fields:
            value = definition.value(context)
            if self._condition is None or self._condition({**context, "value": value, "path": definition.path}):
                if len(definition.path) == 1:
                    record[definition.path[0]] = value
                else:
                    set_value(record, definition.path, value)


@keyword("RemoveFields")
class RemoveFields:
    """Deletes fields by pointers; with a condition, only those whose value (`property`) satisfies it."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._pointers = node.items("field_pointers")
        for index, pointer in enumerate(self._pointers):
            if not isinstance(pointer, list) or not pointer:
                raise node.error("a list of names is expected", f"field_pointers[{index}]")
        condition = node.get("condition")
        self._condition = node.condition(condition) if condition else None

    def transform(self, record: Record, context: Context) -> None:
        condition = self._condition
        keep = None if condition is None else lambda value: not condition({"property": value})
        for pointer in self._pointers:
            if keep is None and len(pointer) == 1 and pointer[0] in record:
                del record[pointer[0]]
            else:
                delete_values(record, pointer, keep)


def rename_keys(record: Record, names: Any) -> None:
    """Replace the keys of a record in place."""
    renamed = names(record)
    record.clear()
    record.update(renamed)


@keyword("KeysToLower")
class KeysToLower:
    """Top-level names in lower case."""

    def __init__(self, node: Node, **_: Any) -> None: ...

    def transform(self, record: Record, context: Context) -> None:
        rename_keys(record, lambda values: {name.lower(): value for name, value in values.items()})


@keyword("KeysToSnakeCase")
class KeysToSnakeCase:
    """Names in snake_case, also in nested objects; other alphabets become ASCII if Unicode has a mapping."""

    _TOKEN = re.compile(r"[A-Z]+[a-z]*|[a-z]+|\d+|(?P<other>[^a-zA-Z\d]+)")

    def __init__(self, node: Node, **_: Any) -> None: ...

    def transform(self, record: Record, context: Context) -> None:
        rename_keys(record, self._names)

    def _names(self, values: Any) -> Any:
        return {self.snake(k): self._names(v) if isinstance(v, dict) else v for k, v in values.items()}

    @classmethod
    def snake(cls, name: str) -> str:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or name
        tokens = ["" if match["other"] else match[0].lower() for match in cls._TOKEN.finditer(plain)]
        if len(tokens) >= 3:
            tokens = [tokens[0], *filter(None, tokens[1:-1]), tokens[-1]]
        if tokens and tokens[0].isdigit():
            tokens.insert(0, "")
        return "_".join(tokens)


@keyword("KeysReplace")
class KeysReplace:
    """Replaces a text in names, also in nested objects."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._old, self._new = node.needed_text("old", types=(str,)), node.needed_text("new", types=(str,))

    def transform(self, record: Record, context: Context) -> None:
        old, new = str(self._old(context)), str(self._new(context))

        def names(values: Any) -> Any:
            return {k.replace(old, new): names(v) if isinstance(v, dict) else v for k, v in values.items()}

        rename_keys(record, names)


@keyword("FlattenFields")
class FlattenFields:
    """Moves all values to the top level, under their own name, or with the parent's as prefix if it is taken."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._lists = node.flag("flatten_lists", True)

    def transform(self, record: Record, context: Context) -> None:
        rename_keys(record, self._flat)

    def _flat(self, record: Any) -> Any:
        flat: dict[str, Any] = {}
        stack: list[tuple[Any, str]] = [(record, "_")]
        in_list = False
        while stack:
            value, parent = stack.pop()
            if isinstance(value, dict):
                for name, inner in value.items():
                    stack.append((inner, f"{parent}.{name}" if name in flat or in_list else name))
            elif isinstance(value, list) and self._lists:
                in_list = True
                for index, inner in enumerate(value):
                    stack.append((inner, f"{parent}.{index}"))
            else:
                flat[parent] = value
        return flat


@keyword("KeyTransformation")
class KeyTransformation:
    """A prefix and a suffix for names: a part of `DpathFlattenFields`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._prefix, self._suffix = node.text("prefix", ""), node.text("suffix", "")

    def names(self, values: dict[str, Any]) -> dict[str, Any]:
        prefix, suffix = self._prefix({}), self._suffix({})
        return {f"{prefix}{name}{suffix}": value for name, value in values.items()}


@keyword("DpathFlattenFields")
class DpathFlattenFields:
    """Moves the members of a nested object to the top level, or makes them the record."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = node.path_of("field_path")
        self._delete = node.flag("delete_origin_value")
        self._replace = node.flag("replace_record")
        self._names: KeyTransformation | None = node.child("key_transformation", "KeyTransformation")

    def transform(self, record: Record, context: Context) -> None:
        path = [part(context) for part in self._path]
        members = next(iter(values_at(record, path)), None) if "*" in path else value_at(record, path)
        if not isinstance(members, dict):
            return
        if self._names is not None:
            members = self._names.names(members)
        if self._replace and members:
            rename_keys(record, lambda _: dict(members))
        elif not members.keys() & record.keys():
            if self._delete:
                delete_values(record, path)
            record.update(members)
