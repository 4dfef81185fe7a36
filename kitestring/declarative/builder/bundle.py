"""A manifest with the files beside it in one text: the code of its `components.py`, and the schemas of its streams.

Airbyte keeps a low-code connector as a folder. In one text, the code is `metadata.components_py` and each schema an
`InlineSchemaLoader` of its stream. Comments and order stay: only what is new is put into the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kitestring import json_codec
from kitestring.declarative.builder.yaml_text import mapping_lines, quoted, yaml_text
from kitestring.declarative.connection import Connection
from kitestring.declarative.keyword import BuildContext, Node
from kitestring.declarative.manifest import json_values, parse, python_classes, resolve
from kitestring.declarative.python_components import CLASS, FIELD, components_text
from kitestring.declarative.schema_loader import JsonFileSchemaLoader
from kitestring.declarative.template import Templates
from kitestring.errors import ConfigError

COMPONENTS = "components.py"
ReadFile = Callable[[str], str | None]
"""The text of a file beside a manifest by its path, with slashes; None where it is not there."""
Place = tuple[str | int, ...]
"""The keys and indexes that lead to a stream."""


@dataclass(slots=True)
class Bundle:
    """A manifest's text with what was beside it. `included`: the paths of those files."""

    text: str
    included: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def bundled(text: str, read_file: ReadFile) -> Bundle:
    """The manifest in one text. A text without files beside it stays as it is, byte for byte.

    `ConfigError` where the manifest carries other code than its `components.py`, or a schema is not JSON.
    """
    bundle = Bundle(text)
    try:
        resolved = resolve(parse(text))
    except ConfigError:  # a validation says where
        return bundle
    code = read_file(COMPONENTS) if uses_components(resolved) else None
    carried = components_text(resolved)
    if code is not None and carried is not None and code != carried:
        raise ConfigError(
            f"the manifest carries Python components, and {COMPONENTS} beside it has others",
            hint=f"Remove metadata.{FIELD} or {COMPONENTS}.",
        )
    schemas = dict(stream_schemas(resolved, read_file, bundle))
    new_code = code if carried is None else None
    if new_code is not None:
        bundle.included.append(COMPONENTS)
    if new_code is None and not schemas:
        return bundle
    values = json_values(text)
    expected = with_files(values, new_code, schemas)
    edited = edited_text(text, new_code, schemas)
    if is_same(edited, expected):
        bundle.text = edited
    else:
        bundle.text = yaml_text(expected)
        bundle.notes.append("The manifest was rewritten with the files beside it: its comments are not in it.")
    return bundle


def bundled_file(path: Path, text: str) -> Bundle:
    """The manifest in a file, with the files in its folder."""
    folder = path.resolve().parent

    def read_file(name: str) -> str | None:
        place = (folder / name).resolve()
        if not place.is_relative_to(folder) or not place.is_file():
            return None
        try:
            return place.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"{place} cannot be read: {reason}", hint="Check the file.") from error

    return bundled(text, read_file)


def bundled_with(text: str, files: Mapping[str, str]) -> Bundle:
    """The manifest with files that were sent with it. A file is known by its path, by the end of a longer path (the
    shortest one), or by its name where no other file has this name."""

    def read_file(path: str) -> str | None:
        ends = [place for place in files if f"/{place}".endswith(f"/{path}")]
        if ends:
            return files[min(ends, key=len)]
        name = path.rpartition("/")[2]
        named = [place for place in files if place.rpartition("/")[2] == name]
        return files[named[0]] if len(named) == 1 else None

    return bundled(text, read_file)


def uses_components(resolved: Mapping[str, Any]) -> bool:
    return any(CLASS.fullmatch(name) for name, _ in python_classes(resolved))


def stream_schemas(resolved: Mapping[str, Any], read_file: ReadFile, bundle: Bundle) -> Iterator[tuple[Place, Any]]:
    """The schemas that streams read from files, by the places of the streams."""
    for place, stream in streams_of(resolved):
        loader = stream.get("schema_loader", {}) if isinstance(stream, Mapping) else None
        if not isinstance(loader, Mapping) or loader.get("type", "JsonFileSchemaLoader") != "JsonFileSchemaLoader":
            continue
        parameters = {**(stream.get("$parameters") or {}), **(loader.get("$parameters") or {})}
        values = {"type": "JsonFileSchemaLoader", **loader, "$parameters": parameters}
        node = Node(values, "schema_loader", BuildContext({}, Templates({}), Connection()))
        path = JsonFileSchemaLoader(node).file_path.removeprefix("./")
        content = read_file(path)
        if content is None:
            if "file_path" in loader:
                bundle.notes.append(f"The schema of {stream.get('name')} is in {path[:200]}, which is not there.")
            continue
        try:
            schema = json_codec.loads(content)
        except json_codec.JsonError as error:
            raise ConfigError(f"the schema {path} is not JSON: {error}", hint="Correct the file.") from error
        if isinstance(schema, Mapping):
            if path not in bundle.included:
                bundle.included.append(path)
            yield place, dict(schema)


def streams_of(resolved: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """The streams of a resolved manifest with their places: those under a condition and of dynamic streams too."""
    streams = resolved.get("streams")
    for index, stream in enumerate(streams if isinstance(streams, list) else ()):
        conditional = isinstance(stream, Mapping) and stream.get("type") == "ConditionalStreams"
        inner = stream.get("streams") if conditional else None
        if not conditional:
            yield ("streams", index), stream
        for number, conditioned in enumerate(inner if isinstance(inner, list) else ()):
            yield ("streams", index, "streams", number), conditioned
    dynamic = resolved.get("dynamic_streams")
    for index, stream in enumerate(dynamic if isinstance(dynamic, list) else ()):
        if isinstance(stream, Mapping):
            yield ("dynamic_streams", index, "stream_template"), stream.get("stream_template")


def with_files(values: Mapping[str, Any], code: str | None, schemas: Mapping[Place, Any]) -> dict[str, Any]:
    """The values of the manifest with the files in it."""
    whole: Any = dict(values)
    if code is not None:
        whole["metadata"] = {FIELD: code, **(values.get("metadata") or {})}
    for place, schema in schemas.items():
        whole = with_loader(whole, place, loader_of(schema))
    return dict(whole)


def with_loader(node: Any, place: Place, loader: Mapping[str, Any]) -> Any:
    """A copy of a node in which the stream at a place has a loader. What a reference names stays as it is."""
    if isinstance(node, list):
        inner = list(node)
        inner[int(place[0])] = with_loader(node[int(place[0])], place[1:], loader)
        return inner
    own = {"$ref": node} if isinstance(node, str) else node
    if not place:
        return {**own, "schema_loader": loader}
    name = str(place[0])
    if name not in own:
        target = f"{own.get('$ref')}/{name}"
        if len(place) > 1 and isinstance(place[1], int):
            raise ConfigError(
                f"a stream with a schema file is in the list {target}, which other places of the manifest may use too",
                hint="Write the list where it is used, or its schemas inline.",
            )
        return {**own, name: with_loader(target, place[1:], loader)}
    return {**own, name: with_loader(own[name], place[1:], loader)}


def loader_of(schema: Any) -> dict[str, Any]:
    return {"type": "InlineSchemaLoader", "schema": schema}


def is_same(text: str, values: Mapping[str, Any]) -> bool:
    try:
        return json_values(text) == values
    except ConfigError:
        return False


# -- edits of the text -------------------------------------------------------------------------------------------------


def edited_text(text: str, code: str | None, schemas: Mapping[Place, Any]) -> str:
    """The text with the files in it, by edits at their places; the caller compares the values."""
    import yaml

    root: Any = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    edits: list[tuple[int, int, str]] = []
    members = {str(key.value): value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    for place, schema in schemas.items():
        node = node_at(root, place)
        if node is not None:
            edits += stream_edits(text, node, loader_of(schema))
    metadata = members.get("metadata")
    if code is not None and metadata is None:
        text = text if text.endswith("\n") else f"{text}\n"
        edits.append((len(text), len(text), "\n".join(["metadata:", *code_lines(code, "  ")]) + "\n"))
    elif code is not None and isinstance(metadata, yaml.MappingNode) and not metadata.flow_style:
        mark = metadata.start_mark
        edits.append((mark.index, mark.index, inserted(code_lines(code, " " * mark.column), mark.column)))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def node_at(node: Any, place: Place) -> Any:
    """The node of a syntax tree at a place; None where a reference is on the way."""
    import yaml

    for step in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        else:
            return None
    return node


def stream_edits(text: str, node: Any, loader: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """The edits that give a stream a loader."""
    import yaml

    mark = node.start_mark
    lines = list(mapping_lines({"schema_loader": loader}, " " * mark.column, (), {}))
    if isinstance(node, yaml.ScalarNode):
        yield mark.index, node.end_mark.index, "\n".join([f"$ref: {quoted(node.value)}", *lines])
    elif isinstance(node, yaml.MappingNode) and not node.flow_style:
        for number, (key, value) in enumerate(node.value):
            if key.value == "schema_loader":
                start = text.rfind("\n", 0, key.start_mark.index) + 1 if number else key.start_mark.index
                new = "\n".join(lines)
                yield start, last_index(value), new if number else new.lstrip(" ")
                return
        yield mark.index, mark.index, inserted(lines, mark.column)


def inserted(lines: list[str], column: int) -> str:
    """Lines before the first key of a block."""
    return "\n".join(lines).lstrip(" ") + "\n" + " " * column


def last_index(node: Any) -> int:
    """The end of a value without the comments behind it."""
    import yaml

    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return last_index(last[1] if isinstance(last, tuple) else last)


def code_lines(code: str, indent: str) -> list[str]:
    """The member of `metadata` with the code: a block where YAML keeps it as it is."""
    plain = all(sign.isprintable() or sign in "\n\t" for sign in code)
    if not plain or not code.strip() or code[0] in " \t\n" or code.endswith("\n\n"):
        return [f"{indent}{FIELD}: {quoted(code)}"]
    mark = "|" if code.endswith("\n") else "|-"
    return [
        f"{indent}{FIELD}: {mark}",
        *(f"{indent}  {line}" if line else "" for line in code.removesuffix("\n").split("\n")),
    ]
