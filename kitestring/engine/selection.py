"""Selects the streams of a sync: checks the user's selections against the catalog and the destination's modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kitestring.airbyte.modes import WRITES, word_of, write_of
from kitestring.batch import Batch
from kitestring.delete_detection import DeleteDetection
from kitestring.destination import Destination, ListsKeys
from kitestring.errors import ConfigError, SchemaError
from kitestring.mappers.mapped_batch import AsMapped, Mapped
from kitestring.schema import Schema, field_types
from kitestring.suggest import did_you_mean
from kitestring.types import DELETED_AT, Catalog, Path, Record, Stream, SyncMode, Write

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.mappers.apply import Plan


NewFields: TypeAlias = Literal["take", "leave", "stop"]


@dataclass(frozen=True, slots=True)
class Selection:
    """One stream as the user selects it; None leaves the choice to Kitestring.

    `primary_key`, `cursor` and `fields` name fields with dots for nesting ("user.id"), as the source calls them.
    `write_mode` is Airbyte's word (`append`, `overwrite`, `append_dedup`, `overwrite_dedup`, `soft_delete`, …), a
    `Write`, or its three choices as a mapping. `alias` is the stream's name at the destination (after the prefix), ""
    its own. `namespace` "" drops the source's.
    `mappers` change the records on their way (`kitestring.mappers.mapper_settings`), in this order.
    `new_fields`: what happens when the source reports another schema while it is read. "take" its new fields, "leave"
    them out, or "stop" the stream.
    `detect_deletes` finds records that the source no longer lists: `off`, `soft` (mark them), `hard` (remove them), or
    the settings of `DeleteDetection`.
    """

    name: str
    sync_mode: str | None = None
    write_mode: str | Write | Mapping[str, Any] | None = None
    primary_key: Sequence[str] | None = None
    cursor: str | None = None
    fields: Sequence[str] | None = None
    prefix: str = ""
    alias: str = ""
    namespace: str | None = None
    mappers: Sequence[Mapping[str, Any]] = ()
    new_fields: NewFields = "take"
    detect_deletes: str | Mapping[str, Any] | DeleteDetection | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A selected stream at both ends: as it is read, and as it is written (prefix, namespace, mappers)."""

    read: Stream
    written: Stream
    prune: Callable[[Batch], Batch] | None = None
    mapping: Plan | None = None
    changed: Callable[[Mapping[str, Any] | pa.Schema], Route] | None = None
    """The same route for another schema of the source's stream. `SchemaError` where the selection does not allow it."""
    declared: tuple[str, ...] = ()
    """The fields of the source's stream, selected or not."""
    detection: DeleteDetection | None = None

    def mapped(self, batch: Batch, can_delete: bool) -> Mapped:
        """A batch, pruned to the selected fields and mapped."""
        if self.prune is not None:
            batch = self.prune(batch)
        if self.mapping is None:
            return Mapped(batch)
        return self.mapping.apply(batch, can_delete)


def routes(
    catalog: Catalog,
    selections: Sequence[Selection | str] | None,
    destination: Destination,
    prefix: str = "",
    namespace: str | None = None,
) -> list[Route]:
    """The selections as routes; without selections, all streams of the catalog. `ConfigError` for an impossible one."""
    if selections is None:
        selections = [stream.key for stream in catalog]
    chosen = [Selection(selection) if isinstance(selection, str) else selection for selection in selections]
    if not chosen:
        raise ConfigError("no stream is selected", hint="Name at least one stream.")
    by_key: dict[str, Route] = {}
    for selection in chosen:
        stream = catalog.get(selection.name)
        if stream is None and len(same := [s for s in catalog if s.key == selection.name]) > 1:
            raise ConfigError(
                f"{len(same)} streams of the source would be called {selection.name}: "
                + " and ".join(f"{s.name} in {s.namespace or 'no namespace'}" for s in same),
                hint="Rename one of them in the source: they would share one state.",
            )
        if stream is None:
            names = [s.key for s in catalog]
            raise ConfigError(
                f"the source has no stream {selection.name}{did_you_mean(selection.name, names)}",
                hint=f"It has: {', '.join(sorted(names)[:30])}{', …' if len(names) > 30 else ''}.",
                stream=selection.name,
            )
        if stream.key in by_key:
            raise ConfigError(f"the stream {stream.key} is selected twice", hint="Keep one of the two.")
        by_key[stream.key] = route(stream, selection, destination, prefix, namespace)
    written = [r.written.key for r in by_key.values()]
    twice = {key for key in written if written.count(key) > 1}
    if twice:
        raise ConfigError(
            f"two streams would be written as {min(twice)}", hint="Give one of them another alias, prefix or namespace."
        )
    return list(by_key.values())


def route(stream: Stream, selection: Selection, destination: Destination, prefix: str, namespace: str | None) -> Route:
    read = replace(
        stream,
        sync_mode=sync_mode(stream, selection),
        primary_key=tuple(map(path, selection.primary_key)) if selection.primary_key else stream.primary_key,
        cursor=cursor(stream, selection),
    )
    if read.incremental and read.cursor is None and not read.source_defined_cursor:
        raise ConfigError(
            f"the stream {stream.key} is to be read incrementally, but has no cursor field",
            hint="Set `cursor` to a field that grows with every change, or choose full_refresh.",
        )
    detection = DeleteDetection.of(selection.detect_deletes)
    read = replace(read, write=write(read, selection, destination))
    if detection is not None:
        read = replace(read, write=detecting(read, detection, destination))
    prune = None
    if selection.fields:
        read, prune = with_fields(read, selection)
    outer = (
        selection.namespace
        if selection.namespace is not None
        else namespace
        if namespace is not None
        else stream.namespace
    )
    mapping = None
    if selection.mappers:
        from kitestring.mappers.apply import compile_mappers

        mapping = compile_mappers(read, selection.mappers)
    written = replace(
        read if mapping is None else mapping.stream,
        name=f"{selection.prefix or prefix}{selection.alias or stream.name}",
        namespace=outer or None,
    )

    def changed(schema: Mapping[str, Any] | pa.Schema) -> Route:
        after = replace(stream, schema=Schema.of(schema))
        return route(after, following(selection, read, stream, after), destination, prefix, namespace)

    return Route(read, written, prune, mapping, changed, tuple(stream.schema.get("properties") or {}), detection)


def following(selection: Selection, read: Stream, before: Stream, after: Stream) -> Selection:
    """The selection for a stream whose schema has changed while it is read. `SchemaError` where it must not go on."""
    old, new = field_types(before.schema), field_types(after.schema)
    if not old or not new:
        return selection
    cursor = [read.cursor] if read.cursor and read.incremental and read.cursor[0] in old else []
    needed = [*(("primary key", key) for key in read.primary_key), *(("cursor", field) for field in cursor)]
    for what, field in needed:
        if field[0] not in new:
            raise changed_error(f"the {what} {'.'.join(field)} of {read.key} is gone")
    if selection.new_fields == "stop" and old != new:
        came = [f"{name} is new" for name in new if name not in old]
        went = [f"{name} is gone" for name in old if name not in new]
        other = [f"{name} has another type" for name in new if name in old and new[name] != old[name]]
        raise changed_error(f"fields of {read.key} have changed: {'; '.join([*came, *went, *other][:10])}")
    fields = selection.fields
    if fields:
        fields = [name for name in fields if path(name)[0] in new or path(name)[0] not in old]
        if not fields:
            raise changed_error(f"all chosen fields of {read.key} are gone")
    elif selection.new_fields == "leave" and not {*new} <= {*old}:
        fields = [name for name in new if name in old]
    return replace(selection, fields=fields)


def changed_error(change: str) -> SchemaError:
    return SchemaError(
        f"the schema of the source changed while it was read: {change}",
        hint="What came before is written. Choose the stream's fields again, or correct the source; then sync again.",
    )


def sync_mode(stream: Stream, selection: Selection) -> SyncMode:
    if selection.sync_mode is None:
        can = SyncMode.incremental in stream.sync_modes and (
            stream.cursor or selection.cursor or stream.source_defined_cursor
        )
        return SyncMode.incremental if can else SyncMode.full_refresh
    selected = SyncMode(selection.sync_mode) if selection.sync_mode in SyncMode.__members__ else None
    if selected is None or selected not in stream.sync_modes:
        raise ConfigError(
            f"the stream {stream.key} cannot be read as {selection.sync_mode}",
            hint=f"It can be read as: {', '.join(mode.value for mode in stream.sync_modes)}.",
        )
    return selected


def cursor(stream: Stream, selection: Selection) -> Path | None:
    if selection.cursor is None:
        return stream.cursor
    if stream.source_defined_cursor and stream.cursor and path(selection.cursor) != stream.cursor:
        raise ConfigError(
            f"the cursor of {stream.key} is {'.'.join(stream.cursor)}, set by the source; "
            f"{selection.cursor} was requested",
            hint="Leave `cursor` out.",
        )
    return path(selection.cursor)


def write(stream: Stream, selection: Selection, destination: Destination) -> Write:
    """The write mode: the selected one, or the best one the destination supports."""
    writes, write_mode = destination.writes, selection.write_mode
    replacing, deduplicated = WRITES["overwrite"], WRITES["overwrite_dedup"]
    if write_mode is None:
        if stream.primary_key and WRITES["append_dedup"] in writes:
            return WRITES["append_dedup"]
        if stream.incremental or replacing not in writes:
            return Write()
        write_mode = replacing
    chosen = write_of(write_mode)
    # An overwrite of a stream with a key keeps one version of each record; an explicit mapping is taken literally.
    if chosen == replacing and not isinstance(write_mode, Mapping) and stream.primary_key and deduplicated in writes:
        chosen = deduplicated
    if chosen not in writes:
        names = [name for name, mode in WRITES.items() if mode in writes]
        raise ConfigError(
            f"{type(destination).__name__} cannot write as {word_of(chosen)}",
            hint=f"It can write as: {', '.join(names)}.",
        )
    if chosen.keep == "latest" and not stream.primary_key:
        raise ConfigError(
            f"the stream {stream.key} is to be written as {word_of(chosen)}, but has no primary key",
            hint="Set `primary_key`, or choose append or overwrite.",
        )
    if chosen.replace and stream.incremental:
        raise ConfigError(
            f"the stream {stream.key} is read incrementally and written as {word_of(chosen)}: it would lose old ones",
            hint="Choose append or append_dedup, or read it as full_refresh.",
        )
    return chosen


def detecting(stream: Stream, detection: DeleteDetection, destination: Destination) -> Write:
    """The write mode of a stream whose missing records are deleted. `ConfigError` where that is impossible."""
    wanted = f"detect_deletes is {detection.mode} for the stream {stream.key}"
    if stream.write.replace:
        raise ConfigError(
            f"{wanted}, and it is written as {word_of(stream.write)}, which replaces all records anyway",
            hint="Leave detect_deletes out, or write it as append_dedup.",
        )
    if stream.write.keep == "all":
        raise ConfigError(
            f"{wanted}, and it is written as {word_of(stream.write)}, which keeps every version",
            hint="Write it as append_dedup, which needs a primary key.",
        )
    if stream.write.deletes == "mark" and detection.mode == "hard":
        raise ConfigError(
            f"{wanted}, and it is written as {word_of(stream.write)}, which removes no record",
            hint="Choose soft, or write it as append_dedup.",
        )
    if SyncMode.full_refresh not in stream.sync_modes:
        raise ConfigError(
            f"{wanted}, and the source cannot list all its records: it is read as incremental only",
            hint="Leave detect_deletes out.",
        )
    chosen = replace(stream.write, deletes="mark" if detection.mode == "soft" else "remove")
    if not isinstance(destination, ListsKeys) or chosen not in destination.writes:
        raise ConfigError(
            f"{wanted}, and {type(destination).__name__} cannot compare its records with those of the source",
            hint="Leave detect_deletes out, and read the stream as full_refresh with overwrite.",
        )
    return chosen


def path(name: str) -> Path:
    return tuple(name.split("."))


def with_fields(stream: Stream, selection: Selection) -> tuple[Stream, Callable[[Batch], Batch]]:
    """The stream with only the selected fields in its schema, and a function that prunes a batch to them."""
    properties = stream.schema.get("properties") or {}
    for name in selection.fields or ():
        top = name.split(".")[0]
        if properties and top not in properties and not stream.schema.get("additionalProperties"):
            raise ConfigError(
                f"the stream {stream.key} has no field {top}{did_you_mean(top, properties)}",
                hint=f"It has: {', '.join(sorted(properties)[:40])}.",
            )
    paths = [path(name) for name in selection.fields or ()]
    always = [*stream.primary_key, *([stream.cursor] if stream.cursor else []), (DELETED_AT,)]
    tree: dict[str, Any] = {}
    for field_path in [*paths, *always]:
        add_path(tree, field_path)
    selected = replace(
        stream, fields=tuple(paths), schema=Schema.of(stream.schema).changed(prune_schema(stream.schema, tree))
    )

    def prune(batch: Batch) -> Batch:
        if batch.is_table:
            table = batch.table()
            if not any(tree[name] for name in tree if name in table.column_names):
                return Batch(batch.stream, table=table.select([n for n in table.column_names if n in tree]))
        return Batch(
            batch.stream,
            rows=[row if isinstance(row, AsMapped) else prune_value(row, tree) for row in batch.rows()],
            nbytes=batch.nbytes,
        )

    return selected, prune


def add_path(tree: dict[str, Any], path: Path) -> None:
    """Add a path. An empty branch means the whole value, and overrides parts of it."""
    for number, part in enumerate(path):
        if part in tree and not tree[part]:
            return
        if number == len(path) - 1:
            tree[part] = {}
            return
        tree = tree.setdefault(part, {})


def prune_value(value: Any, tree: Mapping[str, Any]) -> Any:
    """The parts of a value that a tree of names selects; lists are pruned item by item."""
    if isinstance(value, list):
        return [prune_value(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    record: Record = {}
    for name, branch in tree.items():
        if name in value:
            record[name] = prune_value(value[name], branch) if branch else value[name]
    return record


def prune_schema(schema: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    if not properties:
        return dict(schema)
    children = {}
    for name, child in properties.items():
        if name in tree:
            children[name] = prune_schema(child, tree[name]) if tree[name] and isinstance(child, Mapping) else child
    return {**schema, "properties": children}
