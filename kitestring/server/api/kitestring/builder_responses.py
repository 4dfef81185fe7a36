"""Response models of the connector builder: manifests with their defects, what a test read brought, proposals."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, RootModel

from kitestring.server.api.response_models import ResponseModel


class ResolvedManifest(RootModel[dict[str, Any]]):
    """A manifest without references and parameters."""


class ManifestDefect(ResponseModel):
    """A defect. `line` and `column` begin at 1; they are 0 where the manifest was sent as values."""

    line: int
    column: int
    path: str
    message: str
    hint: str


class ManifestDefects(ResponseModel):
    """The defects of a manifest, in their order; none if it can be run."""

    defects: list[ManifestDefect]


class HttpExchange(ResponseModel):
    """A request and its answer, secrets masked; bodies are decoded where they are JSON. `ms`: milliseconds. `curl`: the
    request as a line for a shell. An answer that broke off has its first bytes, and `error`."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    status: int
    response_headers: dict[str, str]
    response: Any
    error: str
    ms: float
    curl: str


class UnreadRecord(ResponseModel):
    """A record that a stream could not read, and why."""

    record: Any
    reason: str


class LikelyRecords(ResponseModel):
    """The path of the list that most likely has the records of an answer, and how many objects it has."""

    path: list[str]
    count: int


class ManifestPage(ResponseModel):
    """The records of one answer. `attempts`: the tries before it; without an exchange the answer came from a cache.
    `likely`: where its records may be, if at most one was taken from it."""

    exchange: HttpExchange | None
    records: list[dict[str, Any]]
    rejects: list[UnreadRecord]
    attempts: list[HttpExchange]
    likely: LikelyRecords | None


class ManifestSlice(ResponseModel):
    """A slice: its partition and bounds, its pages, and the stream's state behind it."""

    partition: dict[str, Any]
    bounds: dict[str, Any]
    pages: list[ManifestPage]
    state: dict[str, Any]


class LogLine(ResponseModel):
    """A line of the log of a test read."""

    level: str
    message: str


class FieldDifference(ResponseModel):
    """A field whose declaration differs from the records: `undeclared`, `unseen`, or of another `type`."""

    path: str
    kind: Literal["undeclared", "unseen", "type"]
    declared: list[str]
    observed: list[str]
    sentence: str


class ManifestReading(ResponseModel):
    """A test read. `schema` fits its records, `schemaDifference` compares it with the declared one. `limited` names the
    limits that ended the read, `other` are requests that read no page, `error` and `hint` say why it ended early.
    """

    stream: str
    slices: list[ManifestSlice]
    other: list[HttpExchange]
    logs: list[LogLine]
    schema_: dict[str, Any] = Field(alias="schema")
    schemaDifference: list[FieldDifference]
    state: dict[str, Any]
    limited: list[str]
    error: str
    hint: str


class BegunStream(ResponseModel):
    """A list of an API that can be a stream. `included`: the manifest has it."""

    name: str
    method: str
    path: str
    summary: str
    included: bool


class BuilderBeginning(ResponseModel):
    """A first manifest as YAML text, the streams that were proposed, and sentences on what to look at.

    `testConfiguration` has the known values of the inputs, secrets among them; they are in no other field.
    """

    manifest: str
    name: str
    streams: list[BegunStream]
    notes: list[str]
    testConfiguration: dict[str, Any]


class ManifestEdit(ResponseModel):
    """A value for a place of a manifest; null takes out what is there."""

    path: list[str | int]
    value: Any


class ManifestProposal(ManifestEdit):
    """A proposal: `value` is set at `path`, and the edits of `also` belong to it.

    `proven`: requests to the API have shown it. `likely`: names and values look like it. `warning`: why one should look
    twice before it is taken; empty where there is no reason.
    """

    what: Literal["records", "pagination", "cursor", "key", "schema", "auth", "stream"]
    title: str
    evidence: str
    confidence: Literal["proven", "likely"]
    also: list[ManifestEdit]
    warning: str


class ManifestProposals(ResponseModel):
    """Proposals, the best of each kind first. `notes`: what was seen besides, such as what is right already. `requests`
    of at most `most` were sent."""

    proposals: list[ManifestProposal]
    notes: list[str]
    requests: int
    most: int


class InferredSchema(ResponseModel):
    """A JSON Schema that fits the records."""

    schema_: dict[str, Any] = Field(alias="schema")
