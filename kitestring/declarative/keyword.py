"""The registry of keywords, and the node of a manifest that a keyword is built from."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kitestring.declarative.manifest import component_type
from kitestring.errors import ConfigError
from kitestring.suggest import did_you_mean

if TYPE_CHECKING:
    from kitestring.declarative.connection import Connection
    from kitestring.declarative.template import Condition, Template, Templates

Component = TypeVar("Component")
KEYWORDS: dict[str, type[Any]] = {}
"""Every keyword of the language by name; `keywords()` fills it."""


def keyword(*names: str) -> Callable[[type[Component]], type[Component]]:
    """Register a class for a keyword. It is called with a `Node` and the arguments of its parent."""

    def register(meaning: type[Component]) -> type[Component]:
        for name in names:
            KEYWORDS[name] = meaning
        return meaning

    return register


def keywords() -> Mapping[str, type[Any]]:
    """All keywords: imports every module of this package, each of which registers its own."""
    if not _LOADED:
        for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
            importlib.import_module(f"{__package__}.{module.name}")
        _LOADED.append(True)
    return KEYWORDS


_LOADED: list[bool] = []


@dataclass
class BuildContext:
    """The objects that all components of one source share."""

    config: dict[str, Any]
    templates: Templates
    connection: Connection
    folder: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A component of the manifest: its values, its path, and the context it is built with."""

    values: Mapping[str, Any]
    path: str
    context: BuildContext

    @property
    def type(self) -> str:
        return str(self.values.get("type", ""))

    @property
    def config(self) -> dict[str, Any]:
        return self.context.config

    @property
    def parameters(self) -> Mapping[str, Any]:
        parameters = self.values.get("$parameters")
        return parameters if isinstance(parameters, Mapping) else {}

    def error(self, fact: str, name: str = "") -> ConfigError:
        """The error for a defect of the manifest at this node, or at its field `name`."""
        place = child_path(self.path, name) if name else self.path
        where = f"manifest, {place}" if place else "manifest"
        return ConfigError(f"{where}: {fact}", hint="Correct the manifest at this place.", place=place)

    def need(self, name: str) -> Any:
        value = self.values.get(name)
        if value is None:
            raise self.error(f"{self.type or 'this component'} needs `{name}`")
        return value

    def get(self, name: str, default: Any = None) -> Any:
        value = self.values.get(name)
        return default if value is None else value

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.get(name, default))

    def items(self, name: str) -> Sequence[Any]:
        """A list; empty if the field is missing."""
        value = self.get(name, [])
        if not isinstance(value, list):
            raise self.error(f"is {type_name(value)}, a list is expected", name)
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self.get(name, {})
        if not isinstance(value, Mapping):
            raise self.error(f"is {type_name(value)}, an object is expected", name)
        return value

    def template(self, value: Any, **options: Any) -> Template:
        """A template of this component's parameters; see `Templates.compile`."""
        return self.context.templates.compile(value, self.parameters, self.path, **options)

    def text(self, name: str, default: Any = None, **options: Any) -> Template:
        return self.template(self.get(name, default), **options)

    def needed_text(self, name: str, **options: Any) -> Template:
        return self.template(self.need(name), **options)

    def condition(self, value: Any) -> Condition:
        return self.context.templates.condition(value, self.parameters, self.path)

    def constant(self, name: str, default: Any = None, **options: Any) -> Any:
        """The value of a template that sees only the configuration."""
        return self.text(name, default, **options)({})

    def number(self, name: str, default: float | None = None) -> float | None:
        """A number, or a template of the configuration that gives one."""
        value = self.constant(name, default)
        if value is None or value == "":
            return default
        try:
            return float(value)
        except (TypeError, ValueError):
            raise self.error(f"is {value!r}, a number is expected", name) from None

    def integer(self, name: str, default: int | None = None) -> int | None:
        value = self.number(name, default)
        return None if value is None else int(value)

    def path_of(self, name: str) -> list[Template]:
        """A list of path segments, each a template."""
        value = self.need(name)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise self.error(f"is {type_name(value)}, a list of names is expected", name)
        return [self.template(part) for part in value]

    def at(self, values: Any, step: str) -> Node:
        """The node below this one."""
        if not isinstance(values, Mapping):
            raise self.error(f"is {type_name(values)}, a component (an object with a type) is expected", step)
        return Node(values, child_path(self.path, step), self.context)

    def build(self, **arguments: Any) -> Any:
        return build(self, **arguments)

    def child(self, name: str, default: str = "", /, **arguments: Any) -> Any:
        """Build the component in this field; None if the field is missing."""
        value = self.values.get(name)
        if value is None:
            return None
        return build(self.typed(value, name, default), **arguments)

    def needed_child(self, name: str, default: str = "", /, **arguments: Any) -> Any:
        self.need(name)
        return self.child(name, default, **arguments)

    def children(self, name: str, default: str = "", /, **arguments: Any) -> list[Any]:
        """Build the components of this list."""
        return [
            build(self.typed(value, f"{name}[{index}]", default), **arguments)
            for index, value in enumerate(self.items(name))
        ]

    def typed(self, value: Any, name: str, default: str = "") -> Node:
        node = self.at(value, name)
        if "type" not in node.values:
            type_ = component_type(node.values, self.type, name.partition("[")[0]) or default
            node = Node({**node.values, "type": type_}, node.path, self.context)
        return node


def build(node: Node, /, **arguments: Any) -> Any:
    """Build the component of a node. Raises `ConfigError` for a keyword that is unknown or needs Python code."""
    name = node.type
    if name.startswith("Custom") and (name not in keywords() or "class_name" in node.values):
        raise ConfigError(
            f"manifest, {node.path}: {name} needs the Python class {node.get('class_name', '(not named)')}",
            hint="Open the manifest as a source (`./manifest.yaml`) with `allow_custom_code: true` in its config: "
            "Airbyte's CDK then runs it.",
            place=node.path,
        )
    meaning = keywords().get(name)
    if meaning is None:
        if not name:
            raise node.error("has no `type`")
        raise node.error(f"{name} is not a known keyword{did_you_mean(name, keywords())}")
    return meaning(node, **arguments)


def child_path(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def type_name(value: Any) -> str:
    """The type of a value, for messages."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a text" if isinstance(value, str) else repr(value)
