"""Answers a GraphQL query out of objects whose fields are declared: what is not declared is an error, as at GitHub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stand_ins.graphql import Query, Selection


class QueryError(Exception):
    """An error of the API, with the members of the error object beside its message."""

    def __init__(self, message: str, **members: Any) -> None:
        super().__init__(message)
        self.members = members

    def error_object(self) -> dict[str, Any]:
        return {**self.members, "message": str(self)}


@dataclass(slots=True)
class Object:
    """An object of the schema. A field is a value, objects, or a function of its arguments that gives them."""

    type: str
    fields: Mapping[str, Any]
    interfaces: tuple[str, ...] = ()


Errors = list[dict[str, Any]]
Place = list[Any]


def execute(root: Object, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a query: `data`, and `errors` where there are some. A function of the schema that raises a
    `QueryError` makes its field null."""
    errors: Errors = []
    try:
        data = _selected(root, Query(query, variables).selections, errors, [])
    except ValueError as error:
        return {"errors": [{"message": f"Parse error: {error}"}]}
    except QueryError as error:
        return {"errors": [error.error_object()]}
    return {"data": data, **({"errors": errors} if errors else {})}


def _selected(owner: Object, selections: list[Selection], errors: Errors, path: Place) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in selections:
        if field.on:
            if field.on == owner.type or field.on in owner.interfaces:
                values.update(_selected(owner, field.selections, errors, path))
        elif field.name == "__typename":
            values[field.alias] = owner.type
        elif field.name not in owner.fields:
            raise QueryError(
                f"Field '{field.name}' doesn't exist on type '{owner.type}'",
                path=["query", *path, field.name],
                extensions={"code": "undefinedField", "typeName": owner.type, "fieldName": field.name},
            )
        else:
            place = [*path, field.alias]
            value = owner.fields[field.name]
            if callable(value):
                value = _called(value, field, errors, place)
            values[field.alias] = _value_of(value, field, errors, place)
    return values


def _called(function: Callable[..., Any], field: Selection, errors: Errors, path: Place) -> Any:
    try:
        value = function(**field.arguments)
    except QueryError as error:
        errors.append({**error.error_object(), "path": path})
        return None
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, QueryError):
                errors.append({**item.error_object(), "path": [*path, index]})
        return [None if isinstance(item, QueryError) else item for item in value]
    return value


def _value_of(value: Any, field: Selection, errors: Errors, path: Place) -> Any:
    if isinstance(value, Object):
        if not field.selections:
            raise QueryError(f"Field must have selections (field '{field.name}' returns {value.type})")
        return _selected(value, field.selections, errors, path)
    if isinstance(value, list):
        return [_value_of(item, field, errors, [*path, index]) for index, item in enumerate(value)]
    if field.selections and value is not None:
        raise QueryError(f"Selections can't be made on scalars (field '{field.name}')")
    return value
