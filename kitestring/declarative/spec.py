"""The form of a manifest's configuration, with its migrations, transformations and validations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kitestring import json_codec
from kitestring.config import Place
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.transformation import AddedFieldDefinition
from kitestring.errors import ConfigError
from kitestring.paths import delete_values, set_value, value_at, values_at
from kitestring.pattern import PatternError, compiled
from kitestring.suggest import did_you_mean, nearest_name

Config = dict[str, Any]


@keyword("Spec")
class Spec:
    """The form, migrations of older configurations, transformations and validations."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.form = node.mapping("connection_specification")
        rules = node.at(node.mapping("config_normalization_rules"), "config_normalization_rules")
        self._migrations: list[ConfigMigration] = rules.children("config_migrations", "ConfigMigration")
        self._transformations: list[Any] = rules.children("transformations")
        self._validations: list[Any] = rules.children("validations", "DpathValidator")

    def migrate(self, config: Config) -> None:
        for migration in self._migrations:
            for transformation in migration.transformations:
                transformation.transform(config)

    def transform(self, config: Config) -> None:
        for transformation in self._transformations:
            transformation.transform(config)

    def validate(self, config: Config) -> None:
        for validation in self._validations:
            validation.validate(config)


@keyword("ConfigMigration")
class ConfigMigration:
    """Transformations of a configuration whose result the platform stores."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.transformations: list[Any] = node.children("transformations")


@keyword("ConfigAddFields")
class ConfigAddFields:
    """Sets fields of the configuration if a condition holds."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._fields: list[AddedFieldDefinition] = node.children("fields", "AddedFieldDefinition")
        condition = node.get("condition")
        self._condition = node.condition(condition) if condition else None

    def transform(self, config: Config) -> None:
        for definition in self._fields:
            value = definition.value({})
            if self._condition is None or self._condition({"value": value, "path": definition.path}):
                set_value(config, definition.path, value)


@keyword("ConfigRemoveFields")
class ConfigRemoveFields:
    """Deletes fields of the configuration if a condition holds."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._pointers = node.items("field_pointers")
        condition = node.get("condition")
        self._condition = node.condition(condition) if condition else None

    def transform(self, config: Config) -> None:
        if self._condition is None or self._condition({}):
            for pointer in self._pointers:
                delete_values(config, pointer)


@keyword("ConfigRemapField")
class ConfigRemapField:
    """Replaces values of a field by a table."""

    def __init__(self, node: Node, **_: Any) -> None:
        table = node.constant("map") if isinstance(node.get("map"), str) else node.mapping("map")
        if not isinstance(table, Mapping):
            raise node.error("an object is expected", "map")
        self._map = {name: node.template(value) for name, value in table.items()}
        self._path = node.path_of("field_path")

    def transform(self, config: Config) -> None:
        path = [part({}) for part in self._path]
        value = value_at(config, path)
        if isinstance(value, str) and value in self._map:
            set_value(config, path, self._map[value]({}))


@keyword("ValidateAdheresToSchema")
class ValidateAdheresToSchema:
    """Checks that a value fits a JSON schema; a text is parsed as JSON first."""

    def __init__(self, node: Node, **_: Any) -> None:
        schema = (
            node.constant("base_schema") if isinstance(node.get("base_schema"), str) else node.mapping("base_schema")
        )
        if isinstance(schema, str):
            schema = json_codec.loads(schema)
        self._schema: Mapping[str, Any] = schema

    def validate(self, value: Any) -> None:
        if isinstance(value, str):
            try:
                value = json_codec.loads(value)
            except json_codec.JsonError:
                raise ConfigError("a value of the configuration is not JSON", hint="Correct the value.") from None
        misfits = list(violations(value, self._schema))
        if misfits:
            raise misfit_error(misfits, "the configuration: ", "Correct the configuration.")


@keyword("DpathValidator")
class DpathValidator:
    """Validates the values at a path of the configuration."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = [part({}) for part in node.path_of("field_path")]
        self._strategy: Any = node.needed_child("validation_strategy", "ValidateAdheresToSchema")

    def validate(self, config: Config) -> None:
        if "*" in self._path:
            for value in values_at(config, self._path):
                self._strategy.validate(value)
        else:
            value = value_at(config, self._path)
            if value is not None:
                self._strategy.validate(value)


@keyword("PredicateValidator")
class PredicateValidator:
    """Validates a value given as a template."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._value = node.template(node.need("value"))
        self._strategy: Any = node.needed_child("validation_strategy", "ValidateAdheresToSchema")

    def validate(self, config: Config) -> None:
        self._strategy.validate(self._value({}))


class Misfit(NamedTuple):
    """A violation of a form: where, and what is wrong there. It contains no value."""

    place: Place
    problem: str

    def __str__(self) -> str:
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place).lstrip(".")
        return f"{name or 'the configuration'} {self.problem}"


def misfit_error(misfits: list[Misfit], prefix: str, hint: str) -> ConfigError:
    """One error for all violations, with each at its place."""
    problems = {".".join(map(str, misfit.place)): misfit.problem for misfit in reversed(misfits)}
    return ConfigError(prefix + "; ".join(map(str, misfits)), hint=hint, problems=problems)


def violations(value: Any, schema: Any, place: Place = ()) -> Iterator[Misfit]:
    """The violations of a form (the part of JSON Schema that forms use)."""
    if not isinstance(schema, Mapping):
        return
    types = schema.get("type")
    types = [types] if isinstance(types, str) else types
    if isinstance(types, list) and not any(is_type(value, inner) for inner in types):
        yield Misfit(place, f"should be {' or '.join(map(str, types))}")
        return
    if "const" in schema and value != schema["const"]:
        yield Misfit(place, f"should be {schema['const']!r}")
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        yield Misfit(place, f"should be one of {', '.join(map(str, schema['enum']))}")
    for problem in bounds(value, schema):
        yield Misfit(place, problem)
    if isinstance(value, Mapping):
        properties = schema.get("properties") or {}
        for key in schema.get("required") or ():
            if key not in value:
                near = nearest_name(str(key), [k for k in map(str, value) if k not in properties])
                yield Misfit((*place, str(key)), "is missing" + (f" (did you write {near}?)" if near else ""))
        for key, child in properties.items():
            if key in value and not (value[key] is None and key not in (schema.get("required") or ())):
                yield from violations(value[key], child, (*place, str(key)))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from violations(inner, schema.get("items"), (*place, index))
    for inner in schema.get("allOf") or ():
        yield from violations(value, inner, place)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices:
        yield from closest_choice(value, choices, place)


def bounds(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, str):
        text = schema.get("pattern")
        with contextlib.suppress(PatternError):
            if isinstance(text, str) and not compiled(text).search(value):
                yield f"should have the form {schema.get('pattern_descriptor') or text}"
        if len(value) < schema.get("minLength", 0):
            yield f"should have at least {schema['minLength']} characters"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield f"should be at least {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"should be at most {schema['maximum']}"


def closest_choice(value: Any, choices: list[Any], place: Place) -> Iterator[Misfit]:
    """Nothing if a choice fits; else the violations of the closest choice."""
    by_choice = [list(violations(value, choice, place)) for choice in choices]
    if any(not misfits for misfits in by_choice):
        return
    if isinstance(value, Mapping):
        by_name: dict[str, list[Any]] = {}
        for choice, wrong in zip(choices, by_choice, strict=True):
            constants = {
                key: child["const"]
                for key, child in (choice.get("properties") or {}).items()
                if isinstance(child, Mapping) and "const" in child
            }
            if constants and all(value.get(key) == const for key, const in constants.items()):
                yield from wrong
                return
            for key, const in constants.items():
                by_name.setdefault(key, []).append(const)
        for key, names in by_name.items():
            if len(names) == len(choices) and value.get(key) not in (None, *names):
                known = list(map(str, names))
                yield Misfit(
                    (*place, key), f"should be one of {', '.join(known)}{did_you_mean(str(value[key]), known)}"
                )
                return
    yield from min(by_choice, key=len)


def is_type(value: Any, name: Any) -> bool:
    if name == "integer":
        return (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    kinds: dict[str, Any] = {
        "string": str,
        "boolean": bool,
        "object": Mapping,
        "array": list,
        "null": type(None),
    }
    return name not in kinds or isinstance(value, kinds[name])
