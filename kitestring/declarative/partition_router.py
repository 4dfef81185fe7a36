"""Partition routers: split a stream into partitions with requests of their own, by parent record or listed value."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any, Protocol

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.request_option import Options, RequestOption
from kitestring.declarative.slice import WHOLE, Slice
from kitestring.paths import value_at
from kitestring.types import State


@dataclass
class RoutingContext:
    """The input and the results of routing: the child's state at its start, the parents' states at its end, the doubts
    about the parents' pages (`Page.doubt`), warnings about the state, the start of the sync (epoch), the parents'
    partitions by key, and a summary of all partitions.
    """

    state: Mapping[str, Any] = member(default_factory=dict)
    parent_states: dict[str, State] = member(default_factory=dict)
    doubts: list[str] = member(default_factory=list)
    warnings: list[str] = member(default_factory=list)
    began: float = 0.0
    parents: dict[str, Mapping[str, Any]] = member(default_factory=dict)
    partitions: dict[str, Any] = member(default_factory=dict)


class Router(Protocol):
    """`saves_parents`: it saves parent states. `grows`: new records of a parent normally add partitions."""

    saves_parents: bool
    grows: bool

    def slices(self, routing: RoutingContext) -> Iterable[Slice]: ...

    def fill(self, options: Options, part: Slice) -> None: ...


class SinglePartition:
    """No router: the whole stream is one partition."""

    saves_parents = False
    grows = False

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        yield WHOLE

    def fill(self, options: Options, part: Slice) -> None: ...


@keyword("ListPartitionRouter")
class ListPartitionRouter:
    """One partition for each value of a list."""

    saves_parents = False
    grows = False

    def __init__(self, node: Node, **_: Any) -> None:
        values = node.need("values")
        if isinstance(values, str):
            values = node.constant("values")
        if isinstance(values, str | int | float):
            values = [values] if values != "" else []
        elif not isinstance(node.need("values"), str | list):
            raise node.error(f"is {values!r}, a list is expected", "values")
        self._node = node
        self._values = values
        self._name = node.needed_text("cursor_field")
        self._option: RequestOption | None = node.child("request_option", "RequestOption")

    @property
    def values(self) -> list[Any]:
        """The values. Raises `ConfigError` only when they are read, so that other streams still work."""
        if not isinstance(self._values, list | tuple):
            raise self._node.error(f"is {self._values!r}, a list is expected", "values")
        return list(self._values)

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        name = str(self._name({}))
        for value in self.values:
            yield Slice({name: value})

    def fill(self, options: Options, part: Slice) -> None:
        value = part.get(str(self._name({})))
        if self._option is not None and value:
            self._option.inject(options, value)


@keyword("ParentStreamConfig")
class ParentStreamConfig:
    """A parent stream, its key field, and the name of that value in the child's partitions."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._node = node
        self._key = node.needed_text("parent_key")
        self._name = node.needed_text("partition_field")
        self._extra = [
            [node.template(part) for part in (path if isinstance(path, list) else [path])]
            for path in node.items("extra_fields")
        ]
        self.option: RequestOption | None = node.child("request_option", "RequestOption")
        self.depends = node.flag("incremental_dependency")
        self.stream = node.needed_child("stream", "DeclarativeStream", parent=True)
        self._lazy = [str(node.template(part)({})) for part in node.items("lazy_read_pointer")]

    @property
    def name(self) -> str:
        return str(self._name({}))

    def slices(self, routing: RoutingContext) -> Iterator[Slice]:
        key, name = str(self._key({})).split("/"), self.name
        extra = [[str(part({})) for part in path] for path in self._extra]
        state = self._parent_state(routing.state) if self.depends else {}

        def ended(final: State) -> None:
            if self.depends:
                routing.parent_states[self.stream.name] = final

        count, without_key = 0, 0
        for records, part in self.stream.all_records(state, ended, routing.doubts):
            for record in records:
                count += 1
                value = value_at(record, key)
                if value is None:
                    without_key += 1
                    continue
                fields = {".".join(path): value_at(record, path) for path in extra}
                if self._lazy and not routing.state:
                    fields["child_response"] = value_at(record, self._lazy, [])
                yield Slice({name: value, "parent_slice": part.partition}, None, fields)
        if count and count == without_key and not self._may_be_absent(key[0]):
            # Some records without the key are normal (Airbyte leaves them out too).
            routing.doubts.append(
                f"none of the {count:,} records of “{self.stream.name}” has the parent key {'.'.join(key)}, so nothing "
                "is requested for them. Set `parent_key` to a field that they have."
            )

    def _may_be_absent(self, field: str) -> bool:
        """Whether all records may lack a field: the parent declares it, or adds it under a condition."""
        if field in self.stream.schema().get("properties", {}):
            return True
        added = [
            definition.get("path") or []
            for transformation in self.stream.node.values.get("transformations") or ()
            for definition in transformation.get("fields") or ()
            if isinstance(definition, Mapping)
        ]
        return any(path[:1] == [field] for path in added if isinstance(path, list))

    def _parent_state(self, state: Mapping[str, Any]) -> State:
        """The parent's state inside a child's state; else the child's global cursor; else its only value."""
        parents = state.get("parent_state")
        if isinstance(parents, Mapping) and isinstance(parents.get(self.stream.name), Mapping):
            return dict(parents[self.stream.name])
        if isinstance(state.get("state"), Mapping):
            return dict(state["state"])
        values = list(state.values())
        cursor = self.stream.cursor
        if len(values) == 1 and isinstance(values[0], str | int | float) and cursor is not None:
            return {cursor.field: values[0]}
        return {}


@keyword("SubstreamPartitionRouter")
class SubstreamPartitionRouter:
    """One partition for each record of one or more parent streams."""

    saves_parents = True

    @property
    def grows(self) -> bool:
        return any(parent.depends for parent in self.parents)

    def __init__(self, node: Node, **_: Any) -> None:
        self.parents: list[ParentStreamConfig] = node.children("parent_stream_configs", "ParentStreamConfig")
        if not self.parents:
            raise node.error("needs at least one parent stream", "parent_stream_configs")

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        for parent in self.parents:
            yield from parent.slices(routing)

    def fill(self, options: Options, part: Slice) -> None:
        for parent in self.parents:
            value = part.get(parent.name)
            if parent.option is not None and value:
                parent.option.inject(options, value)


class Product:
    """Every combination of the partitions of several routers. A router that remembers its list (`remembers`) adds
    nothing to the name of its partition for all values, so that it can be added to a stream later."""

    grows = False

    def __init__(self, routers: list[Any]) -> None:
        self._routers = routers

    @property
    def saves_parents(self) -> bool:
        return any(map(remembers_list, self._routers))

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        lists = (
            router.slices(routing if remembers_list(router) else RoutingContext(doubts=routing.doubts))
            for router in self._routers
        )
        for parts in itertools.product(*lists):
            partition: dict[str, Any] = {}
            extra: dict[str, Any] = {}
            for router, part in reversed(list(zip(self._routers, parts, strict=True))):
                whole = remembers_list(router)
                partition.update({name: value for name, value in part.partition.items() if value != "" or not whole})
                extra.update(part.extra_fields)
            yield Slice(partition, None, extra)

    def fill(self, options: Options, part: Slice) -> None:
        for router in self._routers:
            router.fill(options, part)


def remembers_list(router: Any) -> bool:
    return bool(getattr(router, "remembers", False))


@keyword("GroupingPartitionRouter")
class GroupingPartitionRouter:
    """Partitions of another router in groups: each value becomes a list of values."""

    saves_parents = True

    @property
    def grows(self) -> bool:
        return bool(self._inner.grows)

    def __init__(self, node: Node, **_: Any) -> None:
        self._size = node.integer("group_size") or 0
        if self._size < 1:
            raise node.error("is not a positive number", "group_size")
        self._unique = node.flag("deduplicate", True)
        self._inner: Any = node.needed_child("underlying_partition_router")

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        group: list[Slice] = []
        values: set[str] = set()
        for part in self._inner.slices(routing):
            value = repr(next((v for k, v in part.partition.items() if k != "parent_slice"), None))
            if self._unique and value in values:
                continue
            values.add(value)
            group.append(part)
            if len(group) == self._size:
                yield self._group(group)
                group = []
        if group:
            yield self._group(group)

    def _group(self, group: list[Slice]) -> Slice:
        names = list(group[0].partition)
        extra = sorted({name for part in group for name in part.extra_fields})
        return Slice(
            {name: [part.partition.get(name) for part in group] for name in names},
            None,
            {name: [part.extra_fields.get(name) for part in group] for name in extra},
        )

    def fill(self, options: Options, part: Slice) -> None: ...


@keyword("UnionPartitionRouter")
class UnionPartitionRouter:
    """The partitions of several routers under one name, without duplicates."""

    saves_parents = True

    @property
    def grows(self) -> bool:
        return any(router.grows for router in self._routers)

    def __init__(self, node: Node, **_: Any) -> None:
        self._name = str(node.need("partition_field"))
        self._routers: list[Any] = node.children("partition_routers")
        self._node = node

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        values: set[str] = set()
        for router in self._routers:
            for part in router.slices(routing):
                if self._name not in part.partition:
                    raise self._node.error(f"a router returns no {self._name}", "partition_field")
                value = part.partition[self._name]
                if repr(value) in values:
                    continue
                values.add(repr(value))
                rest = {k: v for k, v in part.partition.items() if k != self._name}
                yield Slice({self._name: value}, None, {**part.extra_fields, **rest})

    def fill(self, options: Options, part: Slice) -> None: ...


def router(node: Node, name: str = "partition_router") -> Any:
    """Build the router of a retriever: a single partition, one router, or the product of several."""
    value = node.get(name)
    if not value:
        return SinglePartition()
    if isinstance(value, list):
        routers = node.children(name)
        return routers[0] if len(routers) == 1 else Product(routers)
    return node.child(name)
