"""A connector's configuration: one pydantic class gives the checked values and the form (the "spec").

`Config` is the base class of `Source` and `Destination`. `secret()` marks a field that no log may show,
`option()` describes one, `choice()` makes a union that a form shows as a choice. `spec()` is the JSON Schema in the
dialect of Airbyte's forms: no `$ref`, `airbyte_secret`, `order`, `group`, `oneOf` with a `const` discriminator.

A connector also declares here what it uses of its machine, so that a server can deny it to users who are no
administrators: `facts`, options with `local_path`, and `machine_use()` for everything else.
"""

from __future__ import annotations

import contextlib
import copy
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from kitestring.address import Resolve
from kitestring.errors import ConfigError, KitestringError
from kitestring.facts import Facts
from kitestring.redact import mask_values
from kitestring.suggest import did_you_mean, nearest_name


@dataclass(frozen=True, slots=True)
class LocalPath:
    """Marks an option whose text is a path of this machine where `when` says so (an address is none)."""

    when: Callable[[str], bool] = bool


@dataclass(frozen=True, slots=True)
class Advice:
    """A note about an option (`processing.chunk_size`) that stops nothing, with the value that would settle it."""

    option: str
    message: str
    value: Any = None


class Config(BaseModel):
    """Checked settings. Unknown names are refused with the nearest known one, so that a typo is never ignored."""

    facts: ClassVar[Facts | None] = None
    """The facts that a source, a destination or an embedder declares. None for settings inside of one."""

    model_config = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _take_over(cls)

    @model_validator(mode="before")
    @classmethod
    def _unset(cls, values: Any) -> Any:
        """A null is an option that is not set: forms and exports fill in empty fields that way."""
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, Mapping) else values

    @classmethod
    def load(cls, values: Mapping[str, Any], what: str = "") -> Self:
        """Build from plain values; raises `ConfigError` that names every wrong field and never shows a value."""
        try:
            # Keys that begin with two underscores are the platform's own (Airbyte injects manifests that way).
            return cls.model_validate({k: v for k, v in values.items() if not k.startswith("__")})
        except ValidationError as error:
            raise config_error(error, cls, what or cls.__name__) from None

    def confine(self, place: Callable[[str, str], str]) -> None:
        """Replace every local path by `place(option, path)`, in inner settings too.

        Local are the options that are marked, and those that hold a `Path`.
        """
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            marks = [mark for mark in field.metadata if isinstance(mark, LocalPath)]
            if isinstance(value, Path) or (marks and value and marks[0].when(str(value))):
                path = place(field.alias or name, str(value))
                setattr(self, name, value.__class__(path))
            else:
                for inner in _configs_in(value):
                    inner.confine(place)

    def advice(self) -> Iterator[Advice]:
        """The advice of a form at its fields while a user fills them in. Nothing is connected."""
        return iter(())

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        """Values that a new form begins with, beyond the defaults: they work on this machine without an account."""
        return {}

    def machine_use(self) -> str | None:
        """Other things of its machine that the configuration uses, besides programs and local paths: a Unix socket, a
        key, the credentials of the machine. None for nothing."""
        for name in type(self).model_fields:
            for inner in _configs_in(getattr(self, name)):
                use = inner.machine_use()
                if use is not None:
                    return use
        return None

    def parts(self) -> Iterator[Config]:
        """This connector and those inside it that declare facts of their own: the embedder of a vector store."""
        yield self
        for name in type(self).model_fields:
            for inner in _configs_in(getattr(self, name)):
                yield from (part for part in inner.parts() if part.facts is not None)

    def pin(self, resolve: Resolve) -> None:
        """Tie every connection that is made from now on to an address that `resolve(host, port)` gives.

        Called before use on a server that keeps connectors to public addresses. A driver with sockets of its own
        (`network="native"`) needs a method of its own: it keeps the address for each of its connections, not in the
        environment of the process, which others use too. `ConfigError` where that cannot be done.
        """
        network = self.facts.network if self.facts is not None else None
        if network not in ("none", "python"):
            raise ConfigError(
                f"{type(self).__name__} connects with its own driver, "
                "and this server cannot pin the driver to a checked address",
                hint="Its author can write the method pin(resolve). Or set KITESTRING_ALLOW_PRIVATE_HOSTS.",
            )

    @classmethod
    def spec(cls) -> dict[str, Any]:
        """The form: a JSON Schema without references."""
        form = schema_of(cls)
        return {**form, "title": cls.facts.title} if cls.facts is not None and cls.facts.title else form


OLD_FACTS = {"packages": "packages", "runs_programs": "programs"}
"""Class variables from before `facts`; version 0.2 no longer accepts them."""
Config.__class_vars__.update(OLD_FACTS)  # or pydantic refuses them without an annotation


def _take_over(connector: type[Config]) -> None:
    """Put the class variables of a connector that was written before `Facts` into its facts, with a warning."""
    old = [name for name in OLD_FACTS if name in vars(connector)]
    if not old or "facts" in vars(connector):
        return
    values: dict[str, Any] = {OLD_FACTS[name]: vars(connector)[name] for name in old}
    connector.facts = replace(connector.facts or Facts(), **values)
    arguments = ", ".join(f"{name}={value!r}" for name, value in values.items())
    warnings.warn(
        f"{connector.__module__}.{connector.__qualname__} declares {' and '.join(old)}, which Kitestring 0.2 takes no "
        f"more: declare facts = Facts(network=…, {arguments})",
        FutureWarning,
        stacklevel=4,
    )


def _configs_in(value: Any) -> Iterator[Config]:
    """The settings inside a value: itself, or those of a list or an object."""
    if isinstance(value, Config):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _configs_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _configs_in(inner)


def option(
    default: Any = PydanticUndefined,
    *,
    title: str | None = None,
    description: str | None = None,
    examples: list[Any] | None = None,
    order: int | None = None,
    group: str | None = None,
    local_path: bool | Callable[[str], bool] = False,
    **extra: Any,
) -> Any:
    """A setting, with what a form needs to show it. Other keywords of pydantic's `Field` (ge, le, pattern) pass.

    `local_path`: its text is a path of this machine, or is one where this function says so.
    """
    field_arguments = {k: extra.pop(k) for k in list(extra) if k in FIELD_WORDS}
    schema_extra = {k: v for k, v in {"order": order, "group": group, **extra}.items() if v is not None}
    if "default_factory" not in field_arguments:
        field_arguments["default"] = default
    field = Field(
        title=title,
        description=description,
        examples=examples,
        json_schema_extra=schema_extra or None,
        **field_arguments,
    )
    if local_path:
        field.metadata.append(LocalPath() if local_path is True else LocalPath(local_path))
    return field


def secret(default: Any = PydanticUndefined, **extra: Any) -> Any:
    """A setting that no log, error, answer, repr or golden file may show."""
    return option(default, airbyte_secret=True, **{"repr": False, **extra})


def choice(discriminator: str, default: Any = PydanticUndefined, **extra: Any) -> Any:
    """A union of `Config` classes, discriminated by a `Literal` field of this name; a form shows it as a choice."""
    return option(default, discriminator=discriminator, **extra)


def __getattr__(name: str) -> Any:
    if name == "one_of":
        warnings.warn(
            "kitestring.config.one_of is now choice; Kitestring 0.2 drops the old name",
            DeprecationWarning,
            stacklevel=2,
        )
        return choice
    raise AttributeError(f"module 'kitestring.config' has no attribute {name!r}")


FIELD_WORDS = {
    "ge", "gt", "le", "lt", "pattern", "alias", "validation_alias", "discriminator", "min_length", "max_length",
    "default_factory", "exclude", "repr",
}  # fmt: skip


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a pydantic class in Airbyte's form dialect: references inlined, discriminators as `const`."""
    raw = model.model_json_schema(by_alias=True)
    form = inline(raw, raw.get("$defs", {}))
    form.pop("$defs", None)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **form}


def inline(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = inline(copy.deepcopy(definitions[node["$ref"].rsplit("/", 1)[-1]]), definitions)
        return {**target, **{k: inline(v, definitions) for k, v in node.items() if k != "$ref"}}
    out = {k: inline(v, definitions) for k, v in node.items() if k not in ("discriminator", "$defs")}
    if "discriminator" in node and "anyOf" in out:
        out["oneOf"] = out.pop("anyOf")
    # `X | None`: a form wants X, absent when not set.
    choices = out.get("anyOf")
    if choices and {"type": "null"} in choices and len(choices) == 2:
        (other,) = [c for c in choices if c != {"type": "null"}]
        del out["anyOf"]
        out = {**other, **out}
        if out.get("default", 0) is None:
            del out["default"]
    if "const" in out and "type" not in out and isinstance(out["const"], str):
        out["type"] = "string"
    return out


def config_error(error: ValidationError, model: type[BaseModel], what: str) -> ConfigError:
    """One sentence for all that is wrong; values stay out of it, since any of them may be a secret."""
    wrong: list[str] = []
    problems: dict[str, str] = {}
    schema = schema_of(model)
    for item in error.errors(include_url=False, include_input=False):
        path = [str(part) for part in item["loc"]]
        joint = " "
        if item["type"] == "missing":
            problem = "is missing"
        elif item["type"] == "extra_forbidden":
            near = nearest_name(path[-1], names_at(model, path[:-1]))
            problem = "is not a known option" + (f" (did you mean {near}?)" if near else "")
        elif item["type"] in ("union_tag_not_found", "union_tag_invalid"):
            path.append(item["ctx"]["discriminator"].strip("'"))
            problem = choice_problem(item["ctx"])
        elif item["msg"].startswith("Value error"):
            joint, problem = ": ", item["msg"].removeprefix("Value error, ").rstrip(".")
        else:
            problem = f"should be {item['msg'].removeprefix('Input should be ').rstrip('.')}"
        wrong.append(f"{'.'.join(path) or 'the configuration'}{joint}{problem}")
        problems.setdefault(form_path(path, schema), problem)
    return ConfigError(
        f"{what}: " + "; ".join(wrong),
        hint=f"Correct the configuration; `kitestring spec {what}` lists the options.",
        problems=problems,
    )


def form_path(path: Iterable[str], schema: Mapping[str, Any]) -> str:
    """The place of an option in the form, with dots. pydantic names the branch of a choice too, which no form has."""
    node: Mapping[str, Any] = schema
    names: list[str] = []
    for part in path:
        branches = [*(node.get("oneOf") or ()), *(node.get("anyOf") or ())]
        chosen = [b for b in branches if any(p.get("const") == part for p in (b.get("properties") or {}).values())]
        if chosen:
            node = chosen[0]
            continue
        names.append(part)
        node = (node.get("properties") or {}).get(part) or node.get("items") or {}
    return ".".join(names)


def choice_problem(context: Mapping[str, Any]) -> str:
    """Why none of several classes was chosen: the option that names one is missing, or names none of them."""
    if "expected_tags" not in context:
        return "is missing"
    choices = [choice.strip("'") for choice in context["expected_tags"].split(", ")]
    return f"should be one of {', '.join(choices)}{did_you_mean(str(context['tag']), choices)}"


@contextlib.contextmanager
def at_option(name: str) -> Iterator[None]:
    """Errors inside are about this option of the configuration, or about one inside of it that they name themselves.

    A form shows them there.
    """
    try:
        yield
    except KitestringError as error:
        inner = error.fields.get("option")
        error.fields["option"] = f"{name}.{inner}" if inner else name
        raise


def names_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """The option names of the class at a place: below options, items of lists, and branches with a tag."""
    nodes: list[Any] = [schema_of(model)]
    for part in path:
        branches = [branch for node in nodes for branch in (node, *node.get("oneOf", ()), *node.get("anyOf", ()))]
        tagged = [b for b in branches if any(p.get("const") == part for p in b.get("properties", {}).values())]
        named = [b["properties"][part] for b in branches if part in b.get("properties", {})]
        nodes = named or tagged or [b["items"] for b in branches if isinstance(b.get("items"), Mapping)] or nodes
    return [name for node in nodes for name in node.get("properties", {})]


def known_names(model: type[BaseModel]) -> list[str]:
    """Every option name of a class and of the classes inside it."""
    names: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict):
                names.extend(node["properties"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(model.model_json_schema())
    return names


Place = tuple[str | int, ...]
"""The place of a value in a configuration: names of options and numbers of items."""


SECRET_NAMES = frozenset(
    {"access_token", "api_key", "api_token", "client_secret", "password", "private_key", "refresh_token", "secret"}
)
"""Options that are secrets where no schema says what they are."""


def secret_places(values: Any, schema: Mapping[str, Any], at: Place = ()) -> Iterator[Place]:
    """The places of secrets in `values`, by the fields that `schema` marks with `airbyte_secret`; some come twice.

    A secret is a text or a number; below a marked object or list everything is one. Of a choice (`oneOf`) the branch
    counts whose constants the values have; where none fits, all do. An option that the schema does not know is one by
    its name: a renewed token may be where no form has a field.
    """
    if schema.get("airbyte_secret"):
        if isinstance(values, str | int | float) and not isinstance(values, bool):
            yield at
        for key, inner in _items(values):
            yield from secret_places(inner, {"airbyte_secret": True}, (*at, key))
    for combiner in ("oneOf", "anyOf", "allOf"):
        branches = [branch for branch in schema.get(combiner) or () if isinstance(branch, Mapping)]
        for branch in branches if combiner == "allOf" else _chosen(values, branches):
            yield from secret_places(values, branch, at)
    if isinstance(values, Mapping):
        named = schema.get("properties") or {}
        patterns = schema.get("patternProperties") or {}
        additional = schema.get("additionalProperties")
        for name, value in values.items():
            children = [named[name]] if name in named else [c for p, c in patterns.items() if re.search(p, str(name))]
            for child in children or [additional]:
                if isinstance(child, Mapping):
                    yield from secret_places(value, child, (*at, name))
                elif not children and name not in _declared(schema):
                    yield from secret_places(value, {"airbyte_secret": name in SECRET_NAMES}, (*at, name))
    if isinstance(values, list) and isinstance(schema.get("items"), Mapping):
        for number, value in enumerate(values):
            yield from secret_places(value, schema["items"], (*at, number))


def _declared(schema: Mapping[str, Any]) -> set[str]:
    """The options that a schema names, those of its branches included."""
    names = set(schema.get("properties") or {})
    for combiner in ("oneOf", "anyOf", "allOf"):
        for branch in schema.get(combiner) or ():
            if isinstance(branch, Mapping):
                names |= _declared(branch)
    return names


def _items(values: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(values, Mapping):
        yield from values.items()
    elif isinstance(values, list):
        yield from enumerate(values)


def _chosen(values: Any, branches: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The branches whose constants the values have; all of them where none has any in common with the values."""
    if not isinstance(values, Mapping):
        return branches

    def fits(branch: Mapping[str, Any]) -> bool:
        constants = {
            name: child["const"]
            for name, child in (branch.get("properties") or {}).items()
            if isinstance(child, Mapping) and "const" in child
        }
        return bool(constants) and all(values.get(name) == value for name, value in constants.items())

    return [branch for branch in branches if fits(branch)] or branches


def value_at(values: Any, place: Place) -> Any:
    """The value at a place of a configuration."""
    for key in place:
        values = values[key]
    return values


def secrets_in(values: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """Every secret string inside `values`, found by the fields that `schema` marks with `airbyte_secret`."""
    for place in secret_places(values, schema):
        text = str(value_at(values, place))
        if text:
            yield text


def masked(values: Any, schema: Mapping[str, Any]) -> Any:
    """`values` with every secret replaced, for showing."""
    return mask_values(values, set(secrets_in(values, schema)))
