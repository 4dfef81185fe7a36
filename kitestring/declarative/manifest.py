"""Read a manifest: parse YAML within limits, resolve `$ref`, hand down `$parameters`, fill in missing types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kitestring import json_codec
from kitestring.errors import ConfigError

LARGEST_BYTES = 16 * 1024 * 1024
MOST_NODES = 5_000_000
"""Values in a manifest when all its references are resolved."""
DEEPEST = 200

DEFAULT_TYPES = {
    "CompositeErrorHandler.error_handlers": "DefaultErrorHandler",
    "ConfigComponentsResolver.components_mapping": "ComponentMappingDefinition",
    "ConfigComponentsResolver.stream_config": "StreamConfig",
    "CursorPagination.decoder": "JsonDecoder",
    "CustomPartitionRouter.parent_stream_configs": "ParentStreamConfig",
    "AddFields.fields": "AddedFieldDefinition",
    "DatetimeBasedCursor.end_datetime": "MinMaxDatetime",
    "DatetimeBasedCursor.end_time_option": "RequestOption",
    "DatetimeBasedCursor.start_datetime": "MinMaxDatetime",
    "DatetimeBasedCursor.start_time_option": "RequestOption",
    "DeclarativeSource.check": "CheckStream",
    "DeclarativeSource.spec": "Spec",
    "DeclarativeSource.streams": "DeclarativeStream",
    "DeclarativeStream.retriever": "SimpleRetriever",
    "DeclarativeStream.schema_loader": "JsonFileSchemaLoader",
    "DefaultErrorHandler.response_filters": "HttpResponseFilter",
    "DefaultPaginator.decoder": "JsonDecoder",
    "DefaultPaginator.page_size_option": "RequestOption",
    "DpathExtractor.decoder": "JsonDecoder",
    "DpathExtractor.record_expander": "RecordExpander",
    "DynamicDeclarativeStream.components_resolver": "ConfigComponentsResolver",
    "DynamicDeclarativeStream.stream_template": "DeclarativeStream",
    "DynamicSchemaLoader.retriever": "SimpleRetriever",
    "HttpComponentsResolver.components_mapping": "ComponentMappingDefinition",
    "HttpComponentsResolver.retriever": "SimpleRetriever",
    "HttpRequester.error_handler": "DefaultErrorHandler",
    "ListPartitionRouter.request_option": "RequestOption",
    "ParentStreamConfig.request_option": "RequestOption",
    "ParentStreamConfig.stream": "DeclarativeStream",
    "RecordExpander.parent_fields": "ParentFieldPath",
    "RecordSelector.extractor": "DpathExtractor",
    "RecordSelector.record_filter": "RecordFilter",
    "SchemaTypeIdentifier.types_map": "TypesMap",
    "SimpleRetriever.paginator": "NoPagination",
    "SimpleRetriever.record_selector": "RecordSelector",
    "SimpleRetriever.requester": "HttpRequester",
    "SubstreamPartitionRouter.parent_stream_configs": "ParentStreamConfig",
}
"""The default type of a component, by its field (the same in airbyte-cdk 7.39.1)."""

CUSTOM_TYPES = {
    "CompositeErrorHandler.backoff_strategies": "CustomBackoffStrategy",
    "DeclarativeStream.retriever": "CustomRetriever",
    "DeclarativeStream.transformations": "CustomTransformation",
    "DefaultErrorHandler.backoff_strategies": "CustomBackoffStrategy",
    "DefaultPaginator.pagination_strategy": "CustomPaginationStrategy",
    "HttpRequester.authenticator": "CustomAuthenticator",
    "HttpRequester.error_handler": "CustomErrorHandler",
    "RecordSelector.extractor": "CustomRecordExtractor",
    "SimpleRetriever.partition_router": "CustomPartitionRouter",
}
"""The default type of a component that names a Python class."""

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL in a JSON text, and not a backslash before `u0000`."""
REF, PARAMETERS = "$ref", "$parameters"
VERBATIM_FIELDS = frozenset({"config_overrides"})
"""Fields whose values are configuration: a text in them that begins with `#/` is not a reference."""


def load(path: Path) -> dict[str, Any]:
    """Load and resolve the manifest in a YAML or JSON file. Raises `ConfigError`."""
    return resolve(parse(read_text(path), path.name))


def read_text(path: Path) -> str:
    """The text of a manifest's file. Raises `ConfigError`."""
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise ConfigError(f"the manifest {path.name} has {size:,} bytes, the limit is {LARGEST_BYTES:,}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the manifest {path} cannot be read: {error.strerror}", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the manifest {path} is not UTF-8 text", hint="Save it as UTF-8.") from error


def parse(text: str, name: str = "manifest") -> Any:
    """Parse YAML into plain values, with the C parser if available."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        # Events come one by one, but the loader recurses: a deep text would exhaust its stack.
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    raise ConfigError(f"{name} is nested more than {DEEPEST} levels deep", hint="Correct the file.")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
        return yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are safe ones
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"{name} is not YAML{place}: {problem}", hint="Correct the file.") from error
    except RecursionError as error:
        raise ConfigError(f"{name} is nested too deeply") from error
    except (ValueError, OverflowError) as error:  # the 13th month, a number beyond Python's limit of digits
        raise ConfigError(f"{name} has a value that cannot be read: {error}", hint="Put it in quotes.") from error


def json_values(text: str) -> dict[str, Any]:
    """The values of a manifest's YAML text as JSON has them: dates are texts, keys too. `ConfigError` where it is no
    manifest, or grows too large as its aliases are written out."""
    raw = parse(text)
    resolve(raw)  # limits the values, aliases written out
    written = json_codec.dumps(raw, levels=DEEPEST + 1)
    if len(written) > LARGEST_BYTES:
        raise ConfigError(
            f"the manifest has {len(written):,} bytes as its aliases are written out, the limit is {LARGEST_BYTES:,}",
            hint="Replace aliases by references (`$ref`).",
        )
    if NUL.search(written):
        raise ConfigError("a text of the manifest holds a NUL, which cannot be stored", hint="Remove it.")
    values: dict[str, Any] = json_codec.loads(written)
    return values


def resolve(raw: Any) -> dict[str, Any]:
    """Replace references and hand down parameters. `raw` does not change; parts of the result are shared."""
    if not isinstance(raw, Mapping):
        raise ConfigError(
            "the manifest is not an object", hint="A manifest has keys such as version, streams and spec."
        )
    values = dict(raw)
    values.setdefault("type", "DeclarativeSource")
    if values["type"] != "DeclarativeSource":
        raise ConfigError(f"the manifest's type is {values['type']!r}, DeclarativeSource is expected")
    try:
        references = References(values)
        resolved: dict[str, Any] = references.resolve(values, "")
        references.limit()
        if not isinstance(resolved, dict):
            raise ConfigError("the manifest is only a reference")
        if has_parameters(resolved):
            resolved = hand_down(resolved, "", {})
    except RecursionError:
        raise ConfigError("the manifest is nested too deeply, or contains itself by a YAML alias") from None
    return resolved


class References:
    """Replaces `$ref` keys and `#/…` texts. A target is resolved once and shared."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.done: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}
        self.shared: dict[int, tuple[Any, int]] = {}
        self.open: list[str] = []
        self.count = 0

    def resolve(self, node: Any, place: str) -> Any:
        """Resolve a node. Nodes shared by YAML aliases are resolved once and counted each time."""
        if not isinstance(node, Mapping | list):
            self.count += 1
            return self.follow(node, place) if isinstance(node, str) and node.startswith("#/") else node
        if id(node) in self.shared:
            resolved, size = self.shared[id(node)]
            self.count += size
            return resolved
        before = self.count
        resolved = self.contents(node, place)
        self.shared[id(node)] = resolved, self.count - before
        return resolved

    def limit(self) -> None:
        if self.count > MOST_NODES:
            raise ConfigError(
                f"the manifest grows beyond {MOST_NODES:,} values as its references and aliases are resolved",
                hint="Look for references that contain each other many times over.",
            )

    def contents(self, node: Any, place: str) -> Any:
        self.count += 1
        self.limit()
        if isinstance(node, Mapping):
            own = {
                key: value if key in VERBATIM_FIELDS else self.resolve(value, f"{place}.{key}" if place else str(key))
                for key, value in node.items()
                if key != REF
            }
            if REF not in node:
                return own
            target = self.resolve(node[REF], place)
            return {**target, **own} if isinstance(target, dict) else target
        return [self.resolve(value, f"{place}[{index}]") for index, value in enumerate(node)]

    def follow(self, reference: str, place: str) -> Any:
        if reference in self.done:
            self.count += self.sizes[reference]
            return self.done[reference]
        if reference in self.open:
            cycle = " → ".join([*self.open[self.open.index(reference) :], reference])
            raise ConfigError(f"manifest, {place}: the reference is circular: {cycle}", place=place)
        self.open.append(reference)
        before = self.count
        target = self.resolve(self.look_up(reference, place), place)
        self.open.pop()
        self.done[reference] = target
        self.sizes[reference] = self.count - before
        return target

    def look_up(self, reference: str, place: str) -> Any:
        """Find the target of a reference. A key may contain slashes: the whole rest is tried before its first part."""
        rest = reference[2:]
        node: Any = self.root
        while rest:
            if isinstance(node, Mapping) and rest in node:
                return node[rest]
            head, _, rest = rest.partition("/")
            try:
                node = node[int(head)] if isinstance(node, list) else node[head]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ConfigError(
                    f"manifest, {place}: the reference {reference} leads nowhere (no {head})",
                    hint="Correct the reference.",
                    place=place,
                ) from None
        return node


def has_parameters(node: Any) -> bool:
    if isinstance(node, Mapping):
        return PARAMETERS in node or any(has_parameters(value) for value in node.values())
    return isinstance(node, list) and any(has_parameters(value) for value in node)


def component_type(values: Mapping[str, Any], parent: str, field: str) -> str:
    """The default type of a component without one, or an empty text."""
    table = CUSTOM_TYPES if "class_name" in values else DEFAULT_TYPES
    return table.get(f"{parent}.{field}", "")


def hand_down(
    node: Mapping[str, Any], field: str, parameters: Mapping[str, Any], own_first: bool = True
) -> dict[str, Any]:
    """`node` with `$parameters` in every component below it, and with the fields that parameters fill.

    A parameter fills a missing or empty field of its name, in the component and in all components below it; it is not
    passed on below a field of its own name. `own_first`: a component's parameters override those of its parents.
    """
    component = dict(node)
    if "type" not in component:
        parent, _, name = field.rpartition(".")
        inferred = component_type(component, parent, name)
        if inferred:
            component["type"] = inferred
    own = component.pop(PARAMETERS, None) or {}
    current = {**parameters, **own} if own_first else {**own, **parameters}
    kind = component.get("type")
    if kind == "object" or isinstance(kind, list | dict):
        return component  # a JSON schema
    if kind is None:
        for name, value in component.items():
            if isinstance(value, dict) and value.get("type"):
                component[name] = hand_down(value, field, current, own_first)
        return component
    for name, value in current.items():
        component[name] = component.get(name) or value
    for name, value in component.items():
        below = {k: v for k, v in current.items() if k != name}
        if isinstance(value, dict):
            component[name] = hand_down(value, f"{kind}.{name}", below, own_first)
        elif isinstance(value, list):
            component[name] = [
                hand_down(item, f"{kind}.{name}", below, own_first) if isinstance(item, dict) else item
                for item in value
            ]
    if current:
        component[PARAMETERS] = current
    return component


def connection_specification(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON Schema of the configuration in a manifest; empty where it has none, or what is no object.

    References in the spec are replaced, whether or not the manifest is resolved: a secret behind one must be known as
    such. Raises `ConfigError` for a reference that leads nowhere or is circular.
    """
    try:
        spec = References(manifest).resolve(manifest.get("spec"), "spec")
    except RecursionError:
        raise ConfigError("the manifest's spec is nested too deeply, or contains itself by a YAML alias") from None
    form = spec.get("connection_specification") if isinstance(spec, Mapping) else None
    return form if isinstance(form, Mapping) else {}


def needs_python(path: Path) -> bool:
    """Whether the manifest in a file has components that are Python classes."""
    try:
        if b"class_name" not in path.read_bytes():
            return False
    except OSError:
        return False  # `load` reports the error
    return any(True for _ in python_classes(load(path)))


def python_classes(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The Python classes of a resolved manifest and their paths; unused definitions do not count."""
    for name, value in manifest.items():
        if name not in ("definitions", "schemas", "metadata"):
            yield from classes_below(value, name)


def classes_below(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        class_name, kind = value.get("class_name"), value.get("type", "Custom")
        if isinstance(class_name, str) and isinstance(kind, str) and kind.startswith("Custom"):
            yield class_name, place
        for name, inner in value.items():
            if name != PARAMETERS:
                yield from classes_below(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from classes_below(inner, f"{place}[{index}]")
