"""Find the defects of a manifest, each with its path and, in a YAML text, its line and column."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.declarative.builder.position import Positions
from kitestring.declarative.builder.resolution import add_types
from kitestring.declarative.builder.template_check import DESCRIBING, TemplateCheck, consent_defects
from kitestring.declarative.connection import Connection
from kitestring.declarative.keyword import BuildContext, Node, build, child_path, keywords
from kitestring.declarative.manifest import (
    PARAMETERS,
    REF,
    References,
    connection_specification,
    parse,
    python_classes,
    resolve,
)
from kitestring.declarative.python_components import check_scope, missing_classes
from kitestring.declarative.stream import primary_key
from kitestring.declarative.template import EvaluationError, Templates
from kitestring.errors import ConfigError, KitestringError
from kitestring.pattern import PatternError, compiled
from kitestring.suggest import did_you_mean

MANIFEST_FIELDS = frozenset(
    {
        *("version", "type", "description", "check", "streams", "dynamic_streams", "schemas", "definitions", "spec"),
        *("concurrency_level", "api_budget", "stream_groups", "max_concurrent_async_job_count", "metadata"),
        "credential_ends",
        "__injected_declarative_manifest",
    }
)
"""The fields of a manifest's top level."""
REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    "AddFields": ("fields",),
    "AddedFieldDefinition": ("path", "value"),
    "BasicHttpAuthenticator": ("username",),
    "BearerAuthenticator": ("api_token",),
    "CompositeErrorHandler": ("error_handlers",),
    "ConstantBackoffStrategy": ("backoff_time_in_seconds",),
    "CursorPagination": ("cursor_value",),
    "DatetimeBasedCursor": ("cursor_field", "datetime_format", "start_datetime"),
    "DeclarativeStream": ("retriever",),
    "DefaultPaginator": ("pagination_strategy",),
    "DpathExtractor": ("field_path",),
    "DynamicDeclarativeStream": ("stream_template", "components_resolver"),
    "IncrementingCountCursor": ("cursor_field",),
    "InlineSchemaLoader": ("schema",),
    "JwtAuthenticator": ("algorithm", "secret_key"),
    "ListPartitionRouter": ("cursor_field", "values"),
    "ParentStreamConfig": ("parent_key", "partition_field", "stream"),
    "RecordSelector": ("extractor",),
    "RemoveFields": ("field_pointers",),
    "RequestOption": ("inject_into",),
    "SessionTokenAuthenticator": ("login_requester", "request_authentication", "session_token_path"),
    "SimpleRetriever": ("record_selector", "requester"),
    "Spec": ("connection_specification",),
    "SubstreamPartitionRouter": ("parent_stream_configs",),
    "WaitTimeFromHeader": ("header",),
    "WaitUntilTimeFromHeader": ("header",),
}
"""The required fields of the common keywords by the language's schema; building checks the other fields."""
NESTED = frozenset(
    {
        "DeclarativeSource", "RequestBodyGraphQlQuery", "SchemaNormalization", "AuthFlow", "OAuthConfigSpecification",
        "ConfigNormalizationRules",
    }
)  # fmt: skip
"""Keywords of the language without a class: the keyword around them reads them."""
VALUE_FIELDS = frozenset(
    {"schema", "schemas", "connection_specification", "config_overrides", "metadata", "$parameters", "advanced_auth"}
)
"""Fields whose values are not components. `consent_defects` checks the templates of `advanced_auth`."""
NEEDS_PYTHON = "needs the Python class"
LINE = re.compile(r"line (\d+), column (\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Defect:
    """A defect at one place. `line` and `column` start at 1; they are 0 for a manifest given as values."""

    line: int
    column: int
    path: str
    message: str
    hint: str = ""


def validate(
    manifest: str | Mapping[str, Any], config: Mapping[str, Any] | None = None, folder: Path | None = None
) -> list[Defect]:
    """The defects of a manifest (a YAML text, or values), in their order; empty if it can run. Sends no requests.

    It finds unreadable YAML, and all broken references, unknown keywords and malformed templates; and for each stream,
    the check, the spec and the budget the first error in building it. Templates get an example of the configuration,
    made from the spec, or `config`. `folder`: the folder of the manifest's schema files.
    """
    try:
        raw = parse(manifest) if isinstance(manifest, str) else manifest
    except ConfigError as error:
        match = LINE.search(error.message)
        line, column = (int(match[1]), int(match[2])) if match else (1, 1)
        return [Defect(line, column, "", error.message, error.hint)]
    by_place: dict[tuple[str, str], Defect] = {}
    positions = Positions(manifest) if isinstance(manifest, str) else None

    def add(path: str, message: str, hint: str = "") -> None:
        line, column = positions.of(path) if positions is not None else (0, 0)
        plain = message.removeprefix(f"manifest, {path}: ")
        by_place.setdefault((f"{line}:{column}" if line else path, plain), Defect(line, column, path, plain, hint))

    if isinstance(raw, Mapping):
        for path, wrong in reference_defects(raw):
            add(path, wrong.message, wrong.hint)
    if not by_place:
        try:
            resolved = add_types(resolve(raw), "", {})
        except ConfigError as error:
            add(str(error.fields.get("place", "")), error.message, error.hint)
        else:
            for path, message, hint in find_defects(resolved, config, folder):
                add(path, message, hint)
    return sorted(by_place.values())


def reference_defects(raw: Mapping[str, Any]) -> Iterator[tuple[str, ConfigError]]:
    """Every broken or circular reference."""

    visited: set[int] = set()  # nodes shared by YAML aliases are examined once

    def walk(node: Any, path: str, depth: int) -> Iterator[tuple[str, ConfigError]]:
        if depth > 200 or id(node) in visited:
            return
        if isinstance(node, Mapping | list):
            visited.add(id(node))
        if isinstance(node, Mapping):
            for key, value in node.items():
                if key != "config_overrides":
                    yield from walk(value, path if key == REF else child_path(path, str(key)), depth + 1)
        elif isinstance(node, list):
            for index, value in enumerate(node):
                yield from walk(value, f"{path}[{index}]", depth + 1)
        elif isinstance(node, str) and node.startswith("#/"):
            try:
                References(raw).follow(node, path)
            except ConfigError as error:
                yield path, error
            except RecursionError:
                yield path, ConfigError(f"the reference {node} is nested too deeply")

    yield from walk(raw, "", 0)


def find_defects(
    manifest: Mapping[str, Any], config: Mapping[str, Any] | None, folder: Path | None
) -> Iterator[tuple[str, str, str]]:
    for name in manifest:
        if name not in MANIFEST_FIELDS and not name.startswith(("x-", "$")):
            yield name, f"{name} is not a field of a manifest{did_you_mean(name, MANIFEST_FIELDS)}", ""
    if not manifest.get("streams") and not manifest.get("dynamic_streams"):
        yield "", "the manifest has no streams", "Add a stream, or a dynamic stream."
    values = copy.deepcopy(dict(config)) if config is not None else example(connection_specification(manifest))
    context = BuildContext(values, Templates(values), Connection(), folder)
    normalize(manifest, context)
    missing = {place for _, place in missing_classes(manifest)}
    carried = {place for _, place in python_classes(manifest)} - missing
    check = TemplateCheck(manifest, context.templates)
    for path, message, hint in keyword_defects(manifest, "", "", check, set()):
        if not (path in carried and NEEDS_PYTHON in message):
            yield path, message, hint
    if carried:
        try:
            check_scope(manifest)
        except ConfigError as error:
            yield str(error.fields.get("place", "")), error.message, error.hint
    yield from consent_defects(manifest)
    yield from build_defects(manifest, context, config is not None)
    yield from name_defects(manifest)


def normalize(manifest: Mapping[str, Any], context: BuildContext) -> None:
    """Apply the spec's migrations and transformations to the configuration; `build_defects` reports their errors."""
    if not isinstance(manifest.get("spec"), dict):
        return
    try:
        spec = Node(manifest, "", context).needed_child("spec", "Spec")
        spec.migrate(context.config)
        spec.transform(context.config)
    except KitestringError:
        return


def keyword_defects(
    node: Any, path: str, field: str, check: TemplateCheck, visited: set[int]
) -> Iterator[tuple[str, str, str]]:
    """Unknown keywords, missing fields and invalid templates. Shared nodes are examined once."""
    if isinstance(node, Mapping | list):
        if id(node) in visited:
            return
        visited.add(id(node))
    if isinstance(node, str):
        if ("{{" in node or "{%" in node) and field.rpartition(".")[2] not in DESCRIBING:
            yield from check.defects(node, path)
        return
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from keyword_defects(value, f"{path}[{index}]", field, check, visited)
        return
    if not isinstance(node, Mapping) or field.rpartition(".")[2] in VALUE_FIELDS:
        return
    kind = node.get("type")
    if isinstance(kind, str) and kind[:1].isupper() and kind not in keywords() and kind not in NESTED:
        if kind.startswith("Custom"):
            message = f"{kind} {NEEDS_PYTHON} {node.get('class_name', '(not named)')}"
            yield (
                path,
                message,
                "Replace it with keywords, or let it run its Python code with `allow_custom_code: true`.",
            )
        else:
            yield path, f"{kind} is not a known keyword{did_you_mean(kind, keywords())}", ""
    for key in REQUIRED_FIELDS.get(kind, ()) if isinstance(kind, str) else ():
        if node.get(key) is None:
            yield path, f"{kind} needs `{key}`", "Correct the manifest at this place."
    for key, value in node.items():
        if key != PARAMETERS and not (path == "" and key == "definitions"):
            yield from keyword_defects(value, child_path(path, str(key)), f"{kind or ''}.{key}", check, visited)


def build_defects(
    manifest: Mapping[str, Any], context: BuildContext, config_known: bool
) -> Iterator[tuple[str, str, str]]:
    """The errors in building the streams and the other components."""
    root = Node(manifest, "", context)

    def attempt(name: str, values: Any, default: str) -> Iterator[tuple[str, str, str]]:
        try:
            node = root.typed(values, name, default)
            build(node)
            primary_key(node)
        except EvaluationError as error:
            if config_known:  # the templates may fail for an example made from the spec
                yield str(error.fields.get("place") or name), error.message, error.hint
        except KitestringError as error:
            if NEEDS_PYTHON not in error.message:
                yield str(error.fields.get("place") or name), error.message, error.hint
        except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            yield name, f"it does not have the form of a {default}: {type(error).__name__}: {error}", ""

    for field, default in (("streams", "DeclarativeStream"), ("dynamic_streams", "DynamicDeclarativeStream")):
        items = manifest.get(field) or []
        if not isinstance(items, list):
            yield field, "a list is expected", ""
            continue
        for index, values in enumerate(items):
            if isinstance(values, Mapping) and values.get("type") == "ConditionalStreams":
                for inner, stream in enumerate(values.get("streams") or ()):
                    yield from attempt(f"{field}[{index}].streams[{inner}]", stream, "DeclarativeStream")
            else:
                yield from attempt(f"{field}[{index}]", values, default)
    for index, values in enumerate(manifest.get("credential_ends") or ()):
        yield from attempt(f"credential_ends[{index}]", values, "CredentialEnd")
    if manifest.get("check") is None:
        yield "", "the manifest has no check", "Add `check: {type: CheckStream, stream_names: [...]}`."
    for name, default in (
        ("check", "CheckStream"),
        ("spec", "Spec"),
        ("api_budget", "HTTPAPIBudget"),
        ("concurrency_level", "ConcurrencyLevel"),
    ):
        if manifest.get(name) is not None:
            yield from attempt(name, manifest[name], default)


def name_defects(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Duplicate names of streams, and unknown streams in the check.

    Two streams may have the same name under different conditions.
    """
    names: dict[str, list[Any]] = {}
    streams = manifest.get("streams")
    for index, entry in enumerate(streams if isinstance(streams, list) else ()):
        conditional = isinstance(entry, Mapping) and entry.get("type") == "ConditionalStreams"
        inner, condition = (entry.get("streams"), entry.get("condition")) if conditional else ([entry], None)
        for stream in inner if isinstance(inner, list) else ():
            name = stream.get("name") if isinstance(stream, Mapping) else None
            before = names.setdefault(str(name), [])
            if isinstance(name, str) and any(other in (None, condition) or condition is None for other in before):
                yield f"streams[{index}]", f"two streams have the name {name}", "Give one of them another name."
            before.append(condition)
    check = manifest.get("check")
    checked = check.get("stream_names") if isinstance(check, Mapping) else None
    if manifest.get("dynamic_streams"):
        return
    for index, name in enumerate(checked if isinstance(checked, list) else ()):
        if isinstance(name, str) and name not in names and "{{" not in "".join(names):
            message = f"there is no stream called {name}{did_you_mean(name, names)}"
            yield f"check.stream_names[{index}]", message, ""


def example(form: Any, depth: int = 0) -> Any:
    """An example value for a JSON schema, from its defaults, examples, formats and patterns."""
    if not isinstance(form, Mapping) or depth > 12:
        return {} if depth == 0 else "example"
    for key in ("const", "default"):
        if key in form and depth:
            return form[key]
    for key in ("enum", "examples"):
        if isinstance(form.get(key), list) and form[key] and depth:
            return form[key][0]
    choices = form.get("oneOf") or form.get("anyOf")
    if isinstance(choices, list) and choices:
        return example({**{k: v for k, v in form.items() if k == "properties"}, **choices[0]}, depth + 1)
    kind = form.get("type")
    if isinstance(kind, list):
        kind = next((type_ for type_ in kind if type_ != "null"), None)
    match kind:
        case "object" | None if kind or "properties" in form or not depth:
            inner = form.get("properties")
            return {k: example(v, depth + 1) for k, v in inner.items()} if isinstance(inner, Mapping) else {}
        case "array":
            return [example(form.get("items") or {}, depth + 1)]
        case "integer" | "number":
            return form.get("minimum", 1)
        case "boolean":
            return False
    return text_of(form)


def text_of(form: Mapping[str, Any]) -> str:
    for candidate in (
        "example",
        "2024-01-01T00:00:00Z",
        "2024-01-01",
        "2024-01-01T00:00:00.000Z",
        "https://example.com",
        "1",
    ):
        pattern, shape = form.get("pattern"), form.get("format")
        if (shape == "date-time" and "T" not in candidate) or (shape == "date" and len(candidate) != 10):
            continue
        try:
            if not isinstance(pattern, str) or compiled(pattern).search(candidate):
                return candidate
        except PatternError:
            return candidate
    return "example"
