"""A workspace, or a part of it, as the text of a project file: to read, to edit, to compare, to apply.

Secrets are variables in the text. A variable that the text has where it was stands for the stored secret. What is
changed here stays what it was made by: by hand, or by a project file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy import Connection

from kitestring.errors import ConfigError, KitestringError
from kitestring.project import VARIABLE
from kitestring.project_file import File, timing
from kitestring.redact import MASK
from kitestring.server.config_as_code import export, plan
from kitestring.server.config_as_code.plan import Change
from kitestring.server.config_as_code.project_spec import KINDS, ConnectionSpec, ProjectSpec
from kitestring.server.config_as_code.project_writer import put_end, put_link
from kitestring.server.connections import endpoints, schedule
from kitestring.server.context import Context
from kitestring.server.secrets.secret_box import restore_masked
from kitestring.suggest import did_you_mean
from kitestring.yaml_lines import Lines, read_yaml

PartKind = Literal["source", "destination", "connection"]
PLACE = re.compile(r"^the text(?::(\d+))?:? ")
EDITED = ("sources", "destinations", "connections")


@dataclass(frozen=True, slots=True)
class TextError:
    """A defect of a text and its place: line and column count from 1. 0 if it is about the whole text."""

    line: int
    column: int
    message: str
    hint: str = ""


class InvalidText(Exception):
    """The text cannot be read."""

    def __init__(self, *errors: TextError) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def write(context: Context, workspace_id: str, part: tuple[PartKind, str] | None = None) -> str:
    """The text of a workspace, or of one resource; that of a connection has both of its ends. Comments at the top say
    what is left out."""
    import yaml

    exported = export.export(context, workspace_id)
    content = {kind: exported.content[kind] for kind in EDITED if exported.content[kind]}
    if part is not None:
        content = only(content, *part)
    notes = "" if part is not None and content else notes_of(exported.left_out)
    return notes + (yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120) if content else "{}\n")


def notes_of(left_out: Sequence[str]) -> str:
    """Comments of a YAML text. A name may hold whatever ends a line there."""
    lines = ("".join(sign if sign.isprintable() else " " for sign in note) for note in left_out)
    return "".join(f"# Left out: {line}.\n" for line in lines)


def only(content: Mapping[str, Any], kind: PartKind, name: str) -> dict[str, Any]:
    entry = content.get(f"{kind}s", {}).get(name)
    if entry is None:
        return {}
    if kind != "connection":
        return {f"{kind}s": {name: entry}}
    ends = {f"{end}s": {entry[end]: content[f"{end}s"][entry[end]]} for end in KINDS}
    return {**ends, "connections": {name: entry}}


def read(context: Context, workspace_id: str, text: str) -> ProjectSpec:
    """The text as what it asks for, with stored secrets in place of their variables. `InvalidText` with every error."""
    try:
        values, lines = read_yaml(text, "the text")
    except ConfigError as error:
        raise InvalidText(syntax_error(error)) from error
    if not isinstance(values if values is not None else {}, Mapping):
        raise InvalidText(TextError(1, 1, "the text is not a mapping", "Begin with `sources:` or `connections:`."))
    content = dict(values or {})
    for name in content:
        if name not in EDITED:
            known = name in File.model_fields or name in ProjectSpec.model_fields
            message = f"{name} is not edited here" if known else f"{name} is not a word of the project file"
            hint = "Take it out; `kitestring apply` takes it." if known else did_you_mean(name, EDITED).lstrip(", ")
            raise InvalidText(at(text, lines, (str(name),), message, hint))
    try:
        spec = ProjectSpec.model_validate(normalized(content))
    except ValidationError as error:
        raise InvalidText(*spec_errors(error, text, lines)) from error
    except ConfigError as error:
        raise InvalidText(at(text, lines, ("connections",), error.message, error.hint)) from error
    with context.store.read() as db:
        unknown = list(fill_secrets(context, db, workspace_id, spec))
    if unknown:
        raise InvalidText(
            *(
                at(
                    text,
                    lines,
                    path,
                    f"the variable {name} has no value on the server",
                    "Write the value, or ${env:NAME} to look it up each time.",
                )
                for path, name in unknown
            )
        )
    return spec


def compare(context: Context, workspace_id: str, spec: ProjectSpec) -> list[Change]:
    """The changes that the text would make. Resources that stay the same are left out."""
    exported = export.export(context, workspace_id).content
    before = ProjectSpec.model_validate(normalized({kind: exported[kind] for kind in EDITED}))
    kept = []
    for change in plan.plan(context, workspace_id, spec):
        fields = change.fields
        old = before.connections.get(change.name) if change.kind == "connection" else None
        if old is not None:  # what was made by hand has no project file to be compared with
            fields = plan.difference(body_of(old), body_of(spec.connections[change.name]), set())
        if change.action == "create" or fields:
            action: Any = "update" if change.action == "adopt" else change.action
            kept.append(Change(action, change.kind, change.name, fields))
    return kept


def refused_configs(
    context: Context, workspace_id: str, spec: ProjectSpec, changes: Sequence[Change], text: str, trusted: bool
) -> list[TextError]:
    """The parts of the changes that the connectors refuse, at the configurations in the text. Nothing is connected."""
    _, lines = read_yaml(text, "the text")
    errors = []
    for change in changes:
        if change.kind not in KINDS:
            continue
        end = spec.ends(change.kind)[change.name]
        try:
            with context.store.read() as db:
                definition = plan.definition_of(db, workspace_id, change.kind, change.name, end)
            endpoints.check_config(context, definition, end.config, workspace_id, trusted)
        except ConfigError as error:
            errors.append(at(text, lines, (f"{change.kind}s", change.name, "config"), error.message, error.hint))
    return errors


def apply(context: Context, workspace_id: str, spec: ProjectSpec, *, trusted: bool) -> list[Change]:
    """Apply the text; returns the changes that were made. It may stop half-way; apply again to continue."""
    changes = compare(context, workspace_id, spec)
    for change in changes:
        if change.kind in KINDS:
            end = spec.ends(change.kind)[change.name]
            put_end(context, workspace_id, change.kind, change.name, end, trusted, adopts=False)
    for change in changes:
        if change.kind == "connection":
            put_link(context, workspace_id, change.name, spec.connections[change.name], None, adopts=False)
    return changes


def body_of(link: ConnectionSpec) -> dict[str, Any]:
    return {**link.model_dump(mode="json"), "schedule": schedule.parse(link.schedule)}


def normalized(content: Mapping[str, Any]) -> dict[str, Any]:
    """The short forms of a project file written out: streams by name, schedules in words, a key of one field."""
    connections = content.get("connections")
    if not isinstance(connections, Mapping):
        return dict(content)
    return {**content, "connections": {name: full_connection(link) for name, link in connections.items()}}


def full_connection(link: Any) -> Any:
    if not isinstance(link, Mapping):
        return link
    full = dict(link)
    if isinstance(link.get("streams"), list):
        full["streams"] = [full_stream(stream) for stream in link["streams"]]
    form = link.get("schedule")
    if isinstance(form, str) or (isinstance(form, Mapping) and "type" not in form):
        full["schedule"] = timing(form)
    return full


def full_stream(stream: Any) -> Any:
    if isinstance(stream, str):
        return {"name": stream}
    if isinstance(stream, Mapping) and isinstance(stream.get("primary_key"), str):
        return {**stream, "primary_key": [stream["primary_key"]]}
    return stream


def fill_secrets(
    context: Context, db: Connection, workspace_id: str, spec: ProjectSpec
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Put the stored secrets in place of their variables, in the specification. Yields the other variables, by path."""
    for kind in KINDS:
        rows = plan.by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id]))
        for name, end in spec.ends(kind).items():
            stored: dict[str, Any] = {}
            variables: Any = {}
            if name in rows:
                stored = context.secret_box.open_config(rows[name].config, rows[name].id)
                variables = export.with_variables(endpoints.masked_config(db, kind, rows[name]), export.variable(name))
            end.config = restore_masked(masked(end.config, variables), stored)
            for path, variable in unset(end.config):
                yield ((f"{kind}s", name, "config", *path), variable)
            end.config = unescaped(end.config)


def masked(node: Any, variables: Any) -> Any:
    """The configuration with a mask for each variable that is that of the stored secret."""
    if isinstance(node, Mapping):
        inner = variables if isinstance(variables, Mapping) else {}
        return {key: masked(value, inner.get(key)) for key, value in node.items()}
    if isinstance(node, list):
        items = variables if isinstance(variables, list) else []
        return [masked(value, items[n] if n < len(items) else None) for n, value in enumerate(node)]
    return MASK if isinstance(node, str) and node == variables and whole_variable(node) else node


def whole_variable(text: str) -> bool:
    match = VARIABLE.fullmatch(text)
    return match is not None and not match[1]


def unset(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from unset(value, (*path, str(key)))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from unset(value, (*path, str(number)))
    elif isinstance(node, str):
        for match in VARIABLE.finditer(node):
            if not match[1]:
                yield path, match[2]


def unescaped(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: unescaped(value) for key, value in node.items()}
    if isinstance(node, list):
        return [unescaped(value) for value in node]
    return VARIABLE.sub(lambda match: match[0][1:] if match[1] else match[0], node) if isinstance(node, str) else node


# -- errors ------------------------------------------------------------------------------------------------------------


def syntax_error(error: KitestringError) -> TextError:
    mark = getattr(error.__cause__, "problem_mark", None)
    match = PLACE.match(error.message)
    message = PLACE.sub("", error.message).removeprefix("is not YAML: ")
    line = int(match[1]) if match and match[1] else 0
    return TextError(mark.line + 1 if mark else line, mark.column + 1 if mark else 1, message, error.hint)


def spec_errors(error: ValidationError, text: str, lines: Lines) -> list[TextError]:
    errors = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = tuple(str(part) for part in item["loc"])
        name = ".".join(path) or "the text"
        if path[-1:] == ("[key]",):
            errors.append(
                at(text, lines, path[:-1], f"a name in {path[0]} is no text, or empty", "Write it in quotes.")
            )
            continue
        if item["type"] == "missing":
            errors.append(at(text, lines, path[:-1], f"{name} is missing", "Add it."))
        elif item["type"] == "extra_forbidden":
            errors.append(
                at(text, lines, path, f"{path[-1]} is not a word of the project file", "Correct or remove it.")
            )
        else:
            message = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")
            errors.append(at(text, lines, path, f"{name} should be {message}"))
    return sorted(errors, key=lambda each: each.line)


def at(text: str, lines: Lines, path: tuple[str, ...], message: str, hint: str = "") -> TextError:
    """The error at the place of a value, or of the nearest one above that the text has."""
    for length in range(len(path), 0, -1):
        line = lines.get(path[:length])
        if line is not None:
            written = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
            key = written.find(path[length - 1])
            column = key if key >= 0 else len(written) - len(written.lstrip())
            return TextError(line, column + 1, message, hint)
    return TextError(0, 0, message, hint)


def error_of(message: str, hint: str, text: str) -> TextError:
    """A contradiction that shows only beside the server, at the resource that its message names. The text is YAML."""
    values, lines = read_yaml(text, "the text")
    words = set(re.findall(r"[\w.@-]+", message))
    for kind in EDITED[:2]:
        for name, entry in ((values or {}).get(kind) or {}).items():
            if isinstance(entry, Mapping) and entry.get("connector") in words:
                return at(text, lines, (kind, str(name), "connector"), message, hint)
    resources = [path for path in lines if len(path) == 2 and path[1] in message]
    # A connection and one of its ends may both be named: the connection is what contradicts.
    nearest = max(resources, key=lambda path: (path[0] == "connections", len(path[1])), default=())
    return at(text, lines, nearest, message, hint)
