"""`DeclarativeSource`: a source made from a manifest and a configuration."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.config import masked, secrets_in
from kitestring.credentials import CredentialEnd, CredentialStore, NarrowedCredentials, ReportedCredentials
from kitestring.declarative.connection import Connection
from kitestring.declarative.cursor import AIRBYTE
from kitestring.declarative.file_uploader import LIMIT_MB, FileFolder
from kitestring.declarative.keyword import BuildContext, Node, build, keyword
from kitestring.declarative.manifest import connection_specification, load, parse, python_classes, read_text, resolve
from kitestring.declarative.page import Page
from kitestring.declarative.partition_outcomes import PartitionOutcomes
from kitestring.declarative.partition_router import RoutingContext
from kitestring.declarative.spec import Spec, misfit_error, violations
from kitestring.declarative.stream import CLOSED, IGNORE_HINT, SliceTask
from kitestring.declarative.stream_group import groups
from kitestring.declarative.template import Templates
from kitestring.errors import Cancelled, ConfigError, KitestringError
from kitestring.facts import Facts
from kitestring.source import Item, Source
from kitestring.types import Catalog, Checkpoint, Partition, State, States, Stream, Suspicion

if TYPE_CHECKING:
    from kitestring.http import Share

BASE_URL = "base_url"
FILES_FOLDER, FILES_LIMIT = "files_folder", "files_limit_mb"
FILTERED_SIZE = "filtered_page_size"
OWN_OPTIONS = (BASE_URL, FILES_FOLDER, FILES_LIMIT, FILTERED_SIZE)
"""Options of every manifest, unless it has one of the same name."""
READ_NEXT_TIME = "The others were read; the next sync reads this one again, unless the error handler ignores it."
PARENT_PREFIX = "of the parents of this stream: "


class DeclarativeSource(Source):
    """The streams of a manifest. Build it with `from_manifest` or `of`.

    Beside the manifest's own options the configuration may have `base_url`, which replaces scheme and host of the API's
    addresses, and `files_folder`, the folder for the files of streams with a `file_uploader` (at most
    `files_limit_mb`); without it records come without their files. `filtered_page_size: true` counts `last_page_size`
    after the manifest's filter, as Airbyte's engine does. `on_config` sets a callback for the new configuration when an
    API replaces its refresh token.
    """

    facts: ClassVar[Facts] = Facts(network="python", programs=False)

    _manifest: dict[str, Any] = PrivateAttr(default_factory=dict)
    _config: dict[str, Any] = PrivateAttr(default_factory=dict)
    _path: Path | None = PrivateAttr(default=None)
    _context: Any = PrivateAttr(default=None)
    _spec: Any = PrivateAttr(default=None)
    _nodes: dict[str, Node] | None = PrivateAttr(default=None)
    _dynamic: dict[str, list[str]] = PrivateAttr(default_factory=dict)
    _built: dict[str, Any] = PrivateAttr(default_factory=dict)
    _routing: dict[str, RoutingContext] = PrivateAttr(default_factory=dict)
    _outcomes: dict[str, PartitionOutcomes] = PrivateAttr(default_factory=dict)
    _groups: list[Any] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.RLock)

    @classmethod
    def from_manifest(cls, path: str | Path, config: Mapping[str, Any]) -> Self:
        """The source of the manifest at `path`. Raises `ConfigError` for a defect of manifest or configuration."""
        path = Path(path)
        return cls._from_values(load(path), config, path.resolve())

    @classmethod
    def of(cls, manifest: Mapping[str, Any], config: Mapping[str, Any]) -> Self:
        """The source of a manifest given as plain values."""
        return cls._from_values(resolve(copy.deepcopy(dict(manifest))), config, None)

    @classmethod
    def _from_values(cls, manifest: dict[str, Any], config: Mapping[str, Any], path: Path | None) -> Self:
        source = cast(Self, cls.model_construct())
        source._manifest, source._config, source._path = manifest, dict(config), path
        source._assemble()
        return source

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_values, (self._manifest, self._config, self._path)

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The identity of this source: its manifest and its configuration, secrets masked.

        An edited manifest stays the same: a file is known by its path, values by the names of their streams.
        """
        streams = self._manifest.get("streams") or ()
        names = sorted(str(stream.get("name")) for stream in streams if isinstance(stream, Mapping))
        return {"manifest": str(self._path or names), "config": masked(self._config, self.form)}

    @property
    def form(self) -> Mapping[str, Any]:
        """The form of the configuration in the manifest."""
        return connection_specification(self._manifest)

    def _assemble(self) -> None:
        manifest = self._manifest
        config = {k: v for k, v in copy.deepcopy(self._config).items() if not k.startswith("__injected")}
        form = self.form
        own_options = {k: config.pop(k) for k in OWN_OPTIONS if k in config and k not in (form.get("properties") or {})}
        base_url = str(own_options.get(BASE_URL) or "")
        connection = Connection(base_url=base_url, secrets=secrets_in(config, form))
        self._context = BuildContext(config, Templates(config), connection, self._path.parent if self._path else None)
        root = self._root()
        self._spec = root.child("spec", "Spec") if manifest.get("spec") else None
        if self._spec is not None:
            migrated = copy.deepcopy(config)
            spec: Spec = self._spec
            spec.migrate(config)
            if migrated != config:
                self._config = {**copy.deepcopy(config), **own_options}
            misfits = list(violations(config, form))
            if misfits:
                raise misfit_error(misfits, "", "Correct the configuration; the manifest's spec lists the options.")
            spec.transform(config)
            spec.validate(config)
        if manifest.get("api_budget"):
            connection.budgets = root.child("api_budget", "HTTPAPIBudget").budgets()
        jobs = root.integer("max_concurrent_async_job_count", 1) or 1
        self._context.values["jobs"] = threading.BoundedSemaphore(max(1, jobs))
        # A manifest chooses where a new token is stored, but never in one of our options.
        self._context.values["options"] = frozenset(
            name for name in OWN_OPTIONS if name not in (form.get("properties") or {})
        )
        self._context.values[FILTERED_SIZE] = own_options.get(FILTERED_SIZE) is True
        self._context.values["parents"] = frozenset(parent_names(manifest.get("streams") or ()))
        self._groups = groups(root)
        if own_options.get(FILES_FOLDER):
            self.keep_files(files_of(own_options))

    def keep_files(self, files: FileFolder, without: Iterable[str] = ()) -> None:
        """Download the files of all streams with files, except those in `without`."""
        self._context.values["files"] = files
        self._context.values["without_files"] = frozenset(without)

    def confine(self, place: Callable[[str, str], str]) -> None:
        files: FileFolder | None = self._context.values.get("files")
        if files is not None:
            folder = place(FILES_FOLDER, str(self._config[FILES_FOLDER]))
            self.keep_files(FileFolder(Path(folder), files.limit_bytes))

    def _root(self) -> Node:
        return Node(self._manifest, "", self._context)

    def on_config(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Set a callback for each new configuration that must be stored (a single-use refresh token)."""
        self.keep_credentials(ReportedCredentials(callback))

    def keep_credentials(self, store: CredentialStore) -> None:
        self._context.values["credentials"] = store

    def credential_ends(self) -> list[CredentialEnd]:
        with self._context.connection, self._context.connection.short_waits():
            ends = [end.end() for end in self._root().children("credential_ends", "CredentialEnd")]
        return sorted((end for end in ends if end is not None), key=lambda end: end.at)

    def like_airbyte(self) -> None:
        """Write states as Airbyte's engine does, so that a platform can continue with that engine."""
        self._context.values[AIRBYTE] = True

    def share(self, share: Share) -> None:
        for number, budget in enumerate(self.connection.budgets):
            budget.shared = share(str(number), budget.calls, budget.per_s)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration after the manifest's migrations, as it should be stored."""
        return self._config

    @property
    def connection(self) -> Connection:
        """The HTTP side. Set its `observe` before the first request."""
        connection: Connection = self._context.connection
        return connection

    # The streams.

    def _stream_nodes(self) -> dict[str, Node]:
        """The streams by name: first those of the manifest, then those that resolvers make."""
        with self._lock:
            if self._nodes is not None:
                return self._nodes
            nodes: dict[str, Node] = {}
            streams = self._manifest.get("streams") or []
            if not isinstance(streams, list):
                raise ConfigError("manifest, streams: a list is expected", hint="Correct the manifest at this place.")
            for index, values in enumerate(streams):
                self._collect(self._root().typed(values, f"streams[{index}]", "DeclarativeStream"), nodes)
            for index, values in enumerate(self._manifest.get("dynamic_streams") or ()):
                node = self._root().typed(values, f"dynamic_streams[{index}]", "DynamicDeclarativeStream")
                dynamic = build(node)
                names = self._dynamic[dynamic.name or f"dynamic_stream_{index}"] = []
                for stream in dynamic.streams():
                    self._collect(Node(stream, f"{node.path}.stream_template", self._context), nodes)
                    names.append(str(stream["name"]))
            self._nodes = nodes
            return nodes

    def _collect(self, node: Node, nodes: dict[str, Node]) -> None:
        if node.type == "ConditionalStreams":
            conditional: ConditionalStreams = build(node)
            for stream in conditional.streams:
                self._collect(stream, nodes)
            return
        name = str(node.constant("name", ""))
        if not name:
            raise node.error("the stream has no name")
        nodes[name] = Node(node.values, node.path, self._context)

    def names(self) -> list[str]:
        """The names of all streams."""
        return list(self._stream_nodes())

    def dynamic_names(self, dynamic: str) -> list[str]:
        """The names of the streams of one dynamic stream."""
        self._stream_nodes()
        if dynamic not in self._dynamic:
            raise ConfigError(f"the manifest has no dynamic stream called {dynamic}")
        return self._dynamic[dynamic]

    def dynamic_streams(self) -> dict[str, list[Mapping[str, Any]]]:
        """The streams that each dynamic stream makes, as values of the manifest. May send requests."""
        nodes = self._stream_nodes()
        return {dynamic: [nodes[name].values for name in names] for dynamic, names in self._dynamic.items()}

    def component(self, name: str) -> Any:
        """The stream of this name, built once."""
        with self._lock:
            if name not in self._built:
                nodes = self._stream_nodes()
                if name not in nodes:
                    raise ConfigError(
                        f"the manifest has no stream called {name}", hint=f"It has {', '.join(sorted(nodes))}."
                    )
                self._built[name] = build(nodes[name])
            return self._built[name]

    # The contract of a source.

    def check(self) -> None:
        checker = self._root().needed_child("check", "CheckStream")
        if not checker.overrides:
            with self._context.connection.short_waits():
                checker.check(self)
            return
        checked_source = self._from_values(self._manifest, {**self._config, **checker.overrides}, self._path)
        checked_source._context.values["files"] = self._context.values.get("files")  # a manifest chooses no folder
        if store := self._context.values.get("credentials"):
            checked_source.keep_credentials(NarrowedCredentials(store, self._context.config, checker.overrides))
        try:
            with checked_source._context.connection.short_waits():
                checker.check(checked_source)
        finally:
            checked_source.close()

    def discover(self) -> Catalog:
        if not self._manifest.get("streams") and not self._manifest.get("dynamic_streams"):
            raise ConfigError("the manifest has no streams", hint="Add a stream, or a dynamic stream.")
        with self._context.connection:
            return Catalog(tuple(self.component(name).stream() for name in self.names()))

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        for stream in streams:
            component, routing = self.component(stream.name), RoutingContext()
            self._routing.pop(stream.key, None)
            outcomes = self._outcomes[stream.key] = PartitionOutcomes()
            with self._context.connection:
                for task in component.tasks(states.get(stream.key, {}), routing):
                    outcomes.add_planned()
                    key = "" if not task.part else repr(dict(task.part))
                    yield Partition((stream,), key, {"task": task}, order=int(task.open))
            self._routing[stream.key] = routing
            outcomes.finish_planning()
            if routing.warnings:
                yield Partition((stream,), "state", {"warnings": routing.warnings})
            if routing.doubts:
                yield Partition(
                    (stream,), "parents", {"doubts": routing.doubts, "note": component.doubted_note(routing)}
                )

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream = partition.stream
        if "warnings" in partition.data:
            yield from map(Suspicion, partition.data["warnings"])
            return
        if "doubts" in partition.data:
            yield from (Suspicion(f"{PARENT_PREFIX}{doubt}") for doubt in partition.data["doubts"])
            if partition.data["note"] is not None:
                yield Checkpoint({CLOSED: partition.data["note"]})
            return
        task: SliceTask = partition.data["task"]
        component = self.component(stream.name)
        component.set_schema(stream.schema)
        outcomes = self._outcomes.get(stream.key) or PartitionOutcomes()
        with ExitStack() as stack:
            for group in self._groups:
                if stream.name in group.names:
                    stack.enter_context(group.exclusive(stream.name))
            stack.enter_context(self._context.connection)
            try:
                digests = stream.incremental and stream.write.appends
                yield from self._items(stream, component.read(task, component.files(), digests))
            except KitestringError as error:
                if not component.routed or isinstance(error, Cancelled):
                    raise
                outcomes.add_failed(error)
                yield Suspicion(f"{component.failure_message(task, error)} {READ_NEXT_TIME}")
                note = component.unread_note(task)
                if note is not None:
                    yield Checkpoint({CLOSED: note})
            else:
                outcomes.read()

    def _items(self, stream: Stream, pages: Iterator[Any]) -> Iterator[Item]:
        for page in pages:
            if not isinstance(page, Page):
                yield page
                continue
            if page.records:
                yield Batch(stream.key, page.records, nbytes=page.nbytes)
            yield from page.rejects
            if page.doubt:
                yield Suspicion(f"{page.doubt}. {IGNORE_HINT}")

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        if CLOSED not in checkpoint:
            return checkpoint
        merged: State = self._stream_of(stream).merge(state, checkpoint[CLOSED])
        return merged

    def finish(self, stream: Stream, state: State) -> State:
        finished: State = self.component(stream.name).finish(state, self._routing.get(stream.key))
        return finished

    def _stream_of(self, key: str) -> Any:
        """The stream of a key, which may have a namespace before the name."""
        return self.component(key if key in self._stream_nodes() else key.partition(".")[2] or key)

    def concurrency(self) -> int:
        if not self._manifest.get("concurrency_level"):
            return super().concurrency()
        level: int = self._root().child("concurrency_level", "ConcurrencyLevel").level
        return level

    def close(self) -> None:
        self._context.connection.close()
        super().close()


@keyword("ConditionalStreams")
class ConditionalStreams:
    """Streams that exist if a condition on the configuration holds."""

    def __init__(self, node: Node, **_: Any) -> None:
        holds = node.condition(node.need("condition"))({})
        self.streams = [
            node.typed(values, f"streams[{index}]", "DeclarativeStream")
            for index, values in enumerate(node.items("streams"))
            if holds
        ]


@keyword("ConcurrencyLevel")
class ConcurrencyLevel:
    """The number of partitions that are read at the same time."""

    def __init__(self, node: Node, **_: Any) -> None:
        level = node.integer("default_concurrency", 1) or 1
        most = node.integer("max_concurrency")
        self.level = max(1, level if most is None else min(level, most))


def files_of(options: Mapping[str, Any]) -> FileFolder:
    """The folder of files in the options."""
    limit = options.get(FILES_LIMIT, LIMIT_MB)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0:
        raise ConfigError(f"{FILES_LIMIT} is {limit!r}, a positive number is expected", hint="Set a number of MB.")
    return FileFolder(Path(str(options[FILES_FOLDER])).expanduser(), int(limit * 1024 * 1024))


def has_files(node: Any) -> bool:
    """Whether a stream of the manifest has files."""
    if isinstance(node, Mapping):
        return isinstance(node.get("file_uploader"), Mapping) or any(map(has_files, node.values()))
    return isinstance(node, list) and any(map(has_files, node))


def parent_names(streams: Iterable[Any]) -> Iterator[str]:
    """The names of streams that are parents of others: their responses are cached."""
    for stream in streams:
        if not isinstance(stream, Mapping):
            continue
        routers = (
            (stream.get("retriever") or {}).get("partition_router")
            if isinstance(stream.get("retriever"), Mapping)
            else None
        )
        yield from _parents_of(routers)


def _parents_of(routers: Any) -> Iterator[str]:
    for router in routers if isinstance(routers, list) else [routers]:
        if not isinstance(router, Mapping):
            continue
        for parent in router.get("parent_stream_configs") or ():
            if isinstance(parent, Mapping) and isinstance(parent.get("stream"), Mapping):
                yield str(parent["stream"].get("name", ""))
                yield from parent_names([parent["stream"]])
        yield from _parents_of(router.get("underlying_partition_router"))
        yield from _parents_of(router.get("partition_routers"))


FILE_OPTIONS: dict[str, dict[str, Any]] = {
    FILES_FOLDER: {
        "type": "string",
        "title": "Folder of files",
        "description": "Where the files of records are stored. Without it records come without their files.",
        "order": 1001,
    },
    FILES_LIMIT: {
        "type": "integer",
        "title": "Limit of the folder of files (MB)",
        "description": "The largest size of the folder of files. A file beyond it ends the stream with an error.",
        "default": LIMIT_MB,
        "minimum": 1,
        "order": 1002,
    },
}


def manifest_spec(path: str | Path) -> dict[str, Any]:
    """The form of a manifest's configuration, with the options of every source such as `base_url`."""
    path = Path(path)
    return copy.deepcopy(_form_of_text(read_text(path), path.name))


@functools.lru_cache(maxsize=64)
def _form_of_text(text: str, name: str) -> dict[str, Any]:
    """Parsing a manifest takes up to half a second, and the same form is asked for many times."""
    return form_of(resolve(parse(text, name)))


def form_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The form of the configuration for a manifest given as plain values."""
    form = copy.deepcopy(dict(connection_specification(manifest))) or {"type": "object", "properties": {}}
    if any(True for _ in python_classes(manifest)):
        form.setdefault("properties", {})["allow_custom_code"] = {
            "type": "boolean",
            "title": "Allow custom code",
            "description": "This connector contains Python code. It runs with all rights of this process.",
            "default": False,
            "order": -1,
        }
        return dict(form)
    form.setdefault("properties", {}).setdefault(
        BASE_URL,
        {
            "type": "string",
            "title": "Base URL",
            "description": "Replaces scheme and host in the API's addresses (a sandbox, a proxy, a test).",
            "order": 1000,
            "group": "advanced",
        },
    )
    if "last_page_size" in repr(manifest.get("streams")) + repr(manifest.get("dynamic_streams")):
        form["properties"].setdefault(
            FILTERED_SIZE,
            {
                "type": "boolean",
                "title": "Count filtered pages",
                "description": "Count the records of a page (`last_page_size`) after the manifest's filter, as "
                "Airbyte does. Then a page that the filter makes shorter ends the stream early.",
                "default": False,
                "order": 1003,
                "group": "advanced",
            },
        )
    if has_files([manifest.get(part) for part in ("streams", "dynamic_streams", "definitions")]):
        for name, option in FILE_OPTIONS.items():
            form["properties"].setdefault(name, {**option, "group": "advanced"})
    return dict(form)
