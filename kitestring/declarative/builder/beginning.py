"""The beginning of a connector: an address, a line of cURL, an OpenAPI document, a HAR file or a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urljoin, urlsplit

from kitestring.declarative.builder.bundle import bundled_with
from kitestring.declarative.builder.curl import parse_curl
from kitestring.declarative.builder.har import har_plan
from kitestring.declarative.builder.http_call import UNNAMED, CallReader, HttpCall, name_of, origin_of
from kitestring.declarative.builder.manifest_plan import ManifestPlan, StreamPlan
from kitestring.declarative.builder.openapi import OpenApiPlanner
from kitestring.declarative.builder.openapi_document import OpenApiDocument
from kitestring.declarative.manifest import connection_specification, parse, python_classes, resolve
from kitestring.declarative.python_components import components_text
from kitestring.errors import ConfigError, ConnectorError

Kind = Literal["url", "curl", "openapi", "har", "manifest", "empty"]
KINDS: tuple[str, ...] = get_args(Kind)
MOST_STREAMS = 40
"""Streams of a first manifest, unless others are chosen."""
MOST_NOTES = 50
LARGEST_MANIFEST = 4_000_000
MOST_SEARCHED = 1_000_000
DOCUMENT_LINK = re.compile(
    r"""["']([^"'<>\s]{0,300}(?:openapi|swagger|api-docs)[^"'<>\s]{0,100}\.(?:json|ya?ml))["']"""
)
Fetch = Callable[[str], str]
"""The text of a document at an address."""


@dataclass(slots=True)
class ProposedStream:
    """A list that can be a stream. `included`: it is in the manifest."""

    name: str
    method: str
    path: str
    summary: str
    included: bool


@dataclass(slots=True)
class Beginning:
    """A first manifest as YAML text, what it proposes, and the values that were known of its inputs. Secrets are in
    `test_configuration` only."""

    manifest: str
    name: str
    streams: list[ProposedStream] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    test_configuration: dict[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        values["testConfiguration"] = values.pop("test_configuration")
        return values


def begin(
    kind: str,
    text: str = "",
    url: str = "",
    streams: Collection[str] = (),
    fetch: Fetch | None = None,
    files: Mapping[str, str] | None = None,
) -> Beginning:
    """The beginning from a text, or from the document at `url`, which `fetch` gets.

    `kind`: url, curl, openapi, har, manifest or empty; a beginning of the kind `url` asks the address for nothing, one
    of the kind `empty` has one stream to fill in, and `text` as its name. `streams`: names of the lists of an OpenAPI
    document or a HAR file that become streams; the first ones without. `files`: what is beside a manifest, by its path.
    Raises `ConfigError` for what cannot be read.
    """
    if kind not in KINDS:
        raise ConfigError(f"{kind!r} is not a kind of beginning", hint=f"One of {', '.join(KINDS)}.")
    if kind == "empty":
        return from_nothing(text.strip())
    if kind == "url":
        return from_call(HttpCall("GET", (url or text).strip()), [])
    if not text and url:
        if fetch is None:
            raise ConfigError("a document at an address cannot be fetched", hint="Send its text.")
        text = fetch(url)
        if kind in ("openapi", "har", "manifest") and text.lstrip()[:1] == "<":
            raise page_error(text, url)
    if not text.strip():
        raise ConfigError(f"there is nothing to begin with: the {kind} is empty", hint="Send `text` or `url`.")
    if kind == "curl":
        call, notes = parse_curl(text)
        return from_call(call, notes)
    if kind == "manifest":
        return from_manifest(text, files or {})
    if kind == "har":
        plan, all_streams, notes = har_plan(text, streams, MOST_STREAMS)
        proposed = [ProposedStream(s.name, s.method, f"/{s.path}", s.summary, included) for s, included in all_streams]
        return finished(plan, proposed, notes)
    planner = OpenApiPlanner(OpenApiDocument(text, url))
    plan, operations = planner.plan(streams, most=MOST_STREAMS)
    proposed = [ProposedStream(op.name, "GET", op.path, op.summary, included) for op, included in operations]
    return finished(plan, proposed, planner.notes)


def page_error(text: str, url: str) -> ConfigError:
    """The error for a web page in place of a document; it names the document that the page shows, if it says so."""
    link = DOCUMENT_LINK.search(text[:MOST_SEARCHED])
    hint = (
        f"The page seems to show {urljoin(url, link[1])[:300]}; use that." if link else "Use the address of its text."
    )
    return ConfigError(f"{url.partition('?')[0][:200]} answers with a web page, not with the document", hint=hint)


def from_call(call: HttpCall, notes: list[str]) -> Beginning:
    """The beginning of one call."""
    origin = origin_of(call.url)
    plan, host = ManifestPlan(name_of(origin), origin), urlsplit(origin).hostname
    plan.heading = [f"{host}, from the address of a list.", "A test read shows where its records are."]
    reader = CallReader(plan)
    stream: StreamPlan = reader.stream(call)
    plan.streams = [stream]
    proposed = [ProposedStream(stream.name, stream.method, f"/{stream.path}", "", True)]
    return finished(plan, proposed, [*notes, *reader.notes])


def from_nothing(name: str) -> Beginning:
    """One stream of an API that is yet to be named."""
    plan = ManifestPlan(name or UNNAMED, "https://api.example.com")
    reader = CallReader(plan)
    stream = reader.stream(HttpCall("GET", "https://api.example.com/v1/records"))
    stream.primary_key = ["id"]
    plan.streams = [stream]
    return finished(plan, [], [])


def from_manifest(text: str, files: Mapping[str, str]) -> Beginning:
    """A manifest as it is, with the files beside it in it."""
    bundle = bundled_with(text, files)
    text = bundle.text
    if len(text) > LARGEST_MANIFEST:
        raise ConfigError(f"the manifest has {len(text):,} characters, the limit is {LARGEST_MANIFEST:,}")
    values = parse(text)
    if not isinstance(values, Mapping) or not ("streams" in values or "dynamic_streams" in values):
        raise ConfigError(
            "the text is not a manifest: it has no `streams`",
            hint="Use a manifest of a low-code source, as YAML or JSON.",
        )
    notes = [
        *bundle.notes,
        *([f"The manifest has in it: {', '.join(bundle.included)[:300]}."] if bundle.included else []),
    ]
    try:
        resolved = resolve(values)
    except ConfigError:  # a validation says where
        resolved = {}
    classes = sorted({class_name for class_name, _ in python_classes(resolved)})
    if classes and components_text(resolved) is not None:
        notes.append("The manifest has Python components. They run once an instance admin has approved them.")
    elif classes:
        notes.append(
            f"The manifest uses Python components ({', '.join(classes)[:300]}). They are not in it, and do not "
            "run: begin with its components.py too, or put its text into `metadata.components_py`."
        )
    title = str(connection_specification(resolved or values).get("title") or "")
    title = title.removesuffix(" Spec").removeprefix("Source ").strip()
    metadata = values.get("metadata")
    named = str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""
    return Beginning(text, (named or title or "Manifest")[:200], listed_streams(resolved), notes)


def listed_streams(resolved: Mapping[str, Any]) -> list[ProposedStream]:
    """The streams of a resolved manifest."""
    listed: list[ProposedStream] = []
    streams = resolved.get("streams")
    for stream in streams if isinstance(streams, list) else []:
        if not isinstance(stream, Mapping) or not isinstance(stream.get("name"), str):
            continue
        retriever = stream.get("retriever")
        requester = retriever.get("requester") if isinstance(retriever, Mapping) else None
        requester = requester if isinstance(requester, Mapping) else {}
        method, path = str(requester.get("http_method") or "GET"), str(requester.get("path") or "")
        listed.append(ProposedStream(stream["name"], method, path, "", True))
    return listed


def finished(plan: ManifestPlan, proposed: list[ProposedStream], notes: list[str]) -> Beginning:
    """The beginning of a plan. Fails closed where a secret would be in a text that is not sealed."""
    beginning = Beginning(
        plan.text(), plan.name, proposed, list(dict.fromkeys(notes))[:MOST_NOTES], plan.configuration()
    )
    shown = "\n".join(
        [beginning.manifest, beginning.name, *beginning.notes, *(f"{s.path} {s.summary}" for s in proposed)]
    )
    for item in plan.inputs.values():
        value = str(item.value or "")
        if item.secret and len(value) >= 6 and value in shown:
            raise ConnectorError(
                f"the value of {item.title} would be in the manifest in clear text",
                hint="Begin without credentials, and add them in the form.",
            )
    return beginning
