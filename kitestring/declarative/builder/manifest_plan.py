"""The plan of a first manifest: its streams, credentials and inputs, written as YAML that people edit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring.declarative.builder.yaml_text import Comments, Line, yaml_text

VERSION = "6.48.10"
"""The version of the language that a first manifest names."""
TEMPLATE_MARK = re.compile(r"\{[{%#]|\{$")


@dataclass(slots=True)
class Input:
    """A field of the configuration. `value`: what is known of it for a test read; it never gets into the manifest.
    `of_streams`: left out unless a stream uses it."""

    name: str
    title: str
    secret: bool = False
    description: str = ""
    default: Any = None
    value: Any = None
    choices: list[Any] = field(default_factory=list)
    of_streams: bool = False

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "title": self.title}
        if self.description:
            schema["description"] = self.description
        if self.choices:
            schema["enum"] = self.choices
        if self.default is not None:
            schema["default"] = self.default
        if self.secret:
            schema["airbyte_secret"] = True
        return schema


@dataclass(slots=True)
class Parent:
    """The stream whose records a stream is read for: its name, the field of its records, and the name in the path."""

    stream: str
    key: str
    partition: str


@dataclass(slots=True)
class StreamPlan:
    """A stream as it is proposed. Texts are templates; `records` is the path of the records in a response."""

    name: str
    path: str
    method: str = "GET"
    summary: str = ""
    url_base: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body_json: Any = None
    body_form: Any = None
    records: list[str] = field(default_factory=list)
    primary_key: list[str] = field(default_factory=list)
    paginator: dict[str, Any] | None = None
    authenticator: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    parents: list[Parent] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ManifestPlan:
    """A manifest as it is proposed. `heading`: the lines of its first comment. `comments`: lines above a value, by the
    path of the value; a path that the manifest does not have is ignored."""

    name: str
    url_base: str
    heading: list[str] = field(default_factory=list)
    authenticator: dict[str, Any] | None = None
    inputs: dict[str, Input] = field(default_factory=dict)
    streams: list[StreamPlan] = field(default_factory=list)
    comments: Comments = field(default_factory=dict)

    def add_input(self, wanted: Input) -> str:
        """Add an input, under another name where another has it. Returns the name."""
        name, number = wanted.name, 1
        while name in self.inputs and self.inputs[name] != wanted:
            number += 1
            name = f"{wanted.name}_{number}"
        wanted.name = name
        self.inputs[name] = wanted
        return name

    def configuration(self) -> dict[str, Any]:
        """The known values of the inputs."""
        return {name: item.value for name, item in self.inputs.items() if item.value is not None}

    def values(self) -> dict[str, Any]:
        """The manifest as plain values. Parent streams are in the definitions."""
        used = {name for stream in self.streams for name in stream.inputs}
        inputs = {name: item for name, item in self.inputs.items() if name in used or not item.of_streams}
        requester: dict[str, Any] = {"type": "HttpRequester", "url_base": self.url_base}
        if self.authenticator is not None:
            requester["authenticator"] = self.authenticator
        definitions: dict[str, Any] = {"requester": requester}
        parents = {parent.stream for stream in self.streams for parent in stream.parents}
        shared = {stream.name: stream_values(stream) for stream in self.streams if stream.name in parents}
        if shared:
            definitions["streams"] = shared
        alone = [stream.name for stream in self.streams if not stream.parents]
        checked = (alone or [stream.name for stream in self.streams])[:1]
        return {
            "version": VERSION,
            "type": "DeclarativeSource",
            "check": {"type": "CheckStream", "stream_names": Line(checked)},
            "definitions": definitions,
            "streams": [
                {"$ref": f"#/definitions/streams/{stream.name}"} if stream.name in shared else stream_values(stream)
                for stream in self.streams
            ],
            "spec": {
                "type": "Spec",
                "connection_specification": {
                    "type": "object",
                    "required": Line([name for name, item in inputs.items() if item.default is None]),
                    "properties": {
                        name: {**item.schema(), "order": order} for order, (name, item) in enumerate(inputs.items())
                    },
                },
            },
        }

    def text(self) -> str:
        """The manifest as YAML text, a blank line between its parts and its streams."""
        lines = [f"# {line}" for line in self.heading]
        for name, value in self.values().items():
            if lines and (not isinstance(value, str) or name == "version"):
                lines.append("")
            dumped = yaml_text({name: value}, self.comments).rstrip("\n").split("\n")
            lines.extend(spaced(dumped) if name == "streams" else dumped)
        return "\n".join(lines) + "\n"


def stream_values(plan: StreamPlan) -> dict[str, Any]:
    requester: dict[str, Any] = {"$ref": "#/definitions/requester"}
    if plan.url_base:
        requester["url_base"] = plan.url_base
    requester["path"] = plan.path
    if plan.method != "GET":
        requester["http_method"] = plan.method
    if plan.authenticator is not None:
        requester["authenticator"] = plan.authenticator
    for name, options in (
        ("request_parameters", plan.parameters),
        ("request_headers", plan.headers),
        ("request_body_json", plan.body_json),
        ("request_body_data", plan.body_form),
    ):
        if options:
            requester[name] = options
    retriever: dict[str, Any] = {
        "type": "SimpleRetriever",
        "requester": requester,
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": Line(plan.records)},
        },
    }
    if plan.paginator is not None:
        retriever["paginator"] = plan.paginator
    if plan.parents:
        retriever["partition_router"] = {
            "type": "SubstreamPartitionRouter",
            "parent_stream_configs": [
                {
                    "type": "ParentStreamConfig",
                    "stream": {"$ref": f"#/definitions/streams/{parent.stream}"},
                    "parent_key": parent.key,
                    "partition_field": parent.partition,
                }
                for parent in plan.parents
            ],
        }
    values: dict[str, Any] = {"type": "DeclarativeStream", "name": plan.name}
    if plan.primary_key:
        values["primary_key"] = Line(plan.primary_key)
    schema = plan.schema or {"type": "object", "additionalProperties": True, "properties": {}}
    return {**values, "retriever": retriever, "schema_loader": {"type": "InlineSchemaLoader", "schema": schema}}


def spaced(lines: list[str]) -> list[str]:
    """The lines of a list with a blank line before each item but the first."""
    spaced_lines: list[str] = []
    for number, line in enumerate(lines):
        if line.startswith("  - ") and number > 1:
            spaced_lines.append("")
        spaced_lines.append(line)
    return spaced_lines


def literal_text(text: str) -> str:
    """A text as a template that gives this text: marks of templates in it are taken as they are."""
    return TEMPLATE_MARK.sub(lambda match: "{{ '" + match[0] + "' }}", text)


def literal_value(value: Any) -> Any:
    """A JSON value whose texts are `literal_text`."""
    if isinstance(value, str):
        return literal_text(value)
    if isinstance(value, Mapping):
        return {literal_text(str(name)): literal_value(inner) for name, inner in value.items()}
    return [literal_value(inner) for inner in value] if isinstance(value, list) else value


def api_key_authenticator(template: str, place: str, name: str) -> dict[str, Any]:
    """The authenticator that sends a key; `place`: header or request_parameter, `name`: of the header or parameter."""
    option = {"type": "RequestOption", "inject_into": place, "field_name": name}
    return {"type": "ApiKeyAuthenticator", "api_token": template, "inject_into": option}


def config_template(name: str) -> str:
    """The template of an input."""
    return "{{ config['" + name + "'] }}"


def snake(text: str) -> str:
    """A name in snake case: `userId` and `User-ID` are user_id."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", text)
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()


def title_of(name: str) -> str:
    words = snake(name).replace("_", " ")
    return (words[:1].upper() + words[1:]).replace("Api ", "API ").replace(" id", " ID") or name


def unique(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is taken."""
    used, number, free = set(taken), 1, name
    while free in used:
        number += 1
        free = f"{name}_{number}"
    return free


def singular(word: str) -> str:
    """The singular of a plural in a path, roughly: for names only."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) else word
