"""Streams made from a template, one per item of the configuration, of an API's response, or of a list."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.manifest import hand_down, parse
from kitestring.declarative.partition_router import RoutingContext
from kitestring.declarative.transformation import value_types
from kitestring.errors import ConfigError
from kitestring.paths import find_places, replace_value, set_value, value_at

Values = Mapping[str, Any]


@keyword("ComponentMappingDefinition")
class ComponentMappingDefinition:
    """A value to set in the template of a stream."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._types = value_types(node)
        self._value = node.needed_text("value", types=self._types)
        self._path = node.path_of("field_path")
        self._create = node.flag("create_or_update")
        condition = node.get("condition")
        self._condition = node.condition(condition) if condition else None

    def apply(self, stream: dict[str, Any], context: Values, as_yaml: bool) -> None:
        if self._condition is not None and not self._condition(context):
            return
        value = self._value(context)
        if as_yaml and isinstance(value, str) and self._types != (str,):
            with suppress(ConfigError):
                value = parse(value)
        path = [part(context) for part in self._path]
        if "*" in path:
            for holder, name in list(find_places(stream, [str(part) for part in path])):
                holder[name] = value
        elif not replace_value(stream, path, value) and self._create and value:
            set_value(stream, path, value)


class Resolver:
    """Fills the template of a stream for each set of values."""

    as_yaml = True

    def __init__(self, node: Node, **_: Any) -> None:
        self.node = node
        self.mapping: list[ComponentMappingDefinition] = node.children(
            "components_mapping", "ComponentMappingDefinition"
        )

    def values(self) -> Iterator[Values]:
        """The template context of each stream, beside the configuration."""
        raise NotImplementedError

    def streams(self, template: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for context in self.values():
            stream = copy.deepcopy(dict(template))
            whole = {"stream_template_config": template, "stream_slice": None, **context}
            for definition in self.mapping:
                definition.apply(stream, whole, self.as_yaml)
            yield stream


@keyword("StreamConfig")
class StreamConfig:
    """A list in the configuration, plus default values."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = node.path_of("configs_pointer")
        self._config = node.config
        self._defaults = node.items("default_values")

    def values(self) -> list[Any]:
        configs = value_at(self._config, [part({}) for part in self._path], [])
        return [*(configs if isinstance(configs, list) else [configs]), *self._defaults]


@keyword("ConfigComponentsResolver")
class ConfigComponentsResolver(Resolver):
    """A stream for each item of a list in the configuration, or for each combination of several lists."""

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__(node)
        config = node.need("stream_config")
        several = isinstance(config, list)
        self._lists: list[StreamConfig] = (
            node.children("stream_config", "StreamConfig") if several else [node.child("stream_config", "StreamConfig")]
        )

    def values(self) -> Iterator[Values]:
        for chosen in itertools.product(*(list(enumerate(stream_config.values())) for stream_config in self._lists)):
            merged: dict[str, Any] = {}
            for place, (index, item) in enumerate(chosen):
                if isinstance(item, dict):
                    merged.update(item)
                else:
                    merged.setdefault(f"source_config_{place}", (index, item))
            yield {"components_values": merged}


@keyword("HttpComponentsResolver")
class HttpComponentsResolver(Resolver):
    """A stream for each record that the API returns."""

    as_yaml = False

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__(node)
        self._retriever = node.needed_child("retriever", "SimpleRetriever", name=node.path, cached=True)

    def values(self) -> Iterator[Values]:
        for part in self._retriever.router.slices(RoutingContext()):
            for page in self._retriever.pages(part):
                for record in page.records:
                    yield {"components_values": record, "stream_slice": part}


@keyword("StreamParametersDefinition")
class StreamParametersDefinition:
    """The values of each stream, listed in the manifest."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.values = node.items("list_of_parameters_for_stream")


@keyword("ParametrizedComponentsResolver")
class ParametrizedComponentsResolver(Resolver):
    """A stream for each set of values in the manifest."""

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__(node)
        self._parameters: StreamParametersDefinition = node.needed_child(
            "stream_parameters", "StreamParametersDefinition"
        )

    def values(self) -> Iterator[Values]:
        for parameters in self._parameters.values:
            yield {"components_values": parameters}


@keyword("DynamicDeclarativeStream")
class DynamicDeclarativeStream:
    """A stream template, and the resolver that makes streams from it."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.node = node
        self.name = str(node.get("name", ""))

    def streams(self) -> Iterator[dict[str, Any]]:
        resolver: Resolver = self.node.needed_child("components_resolver")
        own_first = not self.node.flag("use_parent_parameters", True)
        template = self.node.mapping("stream_template")
        names: set[str] = set()
        for stream in resolver.streams(template):
            stream.setdefault("type", "DeclarativeStream")
            handed = hand_down(stream, "", {}, own_first)
            name = handed.get("name")
            if not isinstance(name, str) or not name:
                raise self.node.error(f"a stream made from it has the name {name!r}", "stream_template")
            if name in names:
                raise ConfigError(
                    f"manifest, {self.node.path}: two streams would have the name {name}",
                    hint="Check the names in the configuration.",
                )
            names.add(name)
            yield handed
