"""The streams that `check` reads to test a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.page import Page
from kitestring.declarative.partition_router import RoutingContext
from kitestring.errors import ConfigError

if TYPE_CHECKING:
    from kitestring.declarative.source import DeclarativeSource


def available(stream: Any) -> None:
    """Read the first page of a stream's first slice. Raises where that fails."""
    for task in stream.tasks({}, RoutingContext()):
        for page in stream.read(task):
            if isinstance(page, Page) and page.rejects and not page.records:
                raise ConfigError(f"stream {stream.name}: {page.rejects[0].reason}")
            return
        return
    raise ConfigError(
        f"stream {stream.name} has no slices: its partition router or its cursor returned none",
        hint="Check the start date and the lists in the configuration.",
    )


@keyword("CheckStream")
class CheckStream:
    """Reads a page of the named streams, and of some streams of the named dynamic streams."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.node = node
        self.names = [str(name) for name in node.items("stream_names")]
        self.dynamic = [
            node.typed(value, f"dynamic_streams_check_configs[{i}]", "DynamicStreamCheckConfig").build()
            for i, value in enumerate(node.items("dynamic_streams_check_configs"))
        ]
        self.overrides: Mapping[str, Any] = node.mapping("config_overrides")
        if not self.names and not self.dynamic:
            raise node.error("needs `stream_names` or `dynamic_streams_check_configs`")

    def check(self, source: DeclarativeSource) -> None:
        for name in self.names:
            available(source.component(name))
        for config in self.dynamic:
            for name in source.dynamic_names(config.name)[: config.count]:
                available(source.component(name))


@keyword("DynamicStreamCheckConfig")
class DynamicStreamCheckConfig:
    """How many streams of a dynamic stream are checked: a part of `CheckStream`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.name = str(node.need("dynamic_stream_name"))
        self.count = node.integer("stream_count")


@keyword("CheckDynamicStream")
class CheckDynamicStream:
    """Reads a page of the first streams of the source."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.count = node.integer("stream_count", 1) or 1
        self.reads = node.flag("use_check_availability", True)
        self.overrides: Mapping[str, Any] = node.mapping("config_overrides")

    def check(self, source: DeclarativeSource) -> None:
        names = source.names()[: self.count]
        if not names:
            raise ConfigError("the source has no streams", hint="Check what the credentials may see.")
        if self.reads:
            for name in names:
                available(source.component(name))
