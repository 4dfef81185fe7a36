"""Proposals for a stream by requests to the real API: records, pagination, cursor, key, schema, authentication."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kitestring.declarative.builder.auth_proposals import propose_auth
from kitestring.declarative.builder.cursor_proposals import propose_cursor
from kitestring.declarative.builder.inference import infer_schema
from kitestring.declarative.builder.list_answer import key_of, ranked_lists, rows_at
from kitestring.declarative.builder.pagination_proposals import propose_pagination
from kitestring.declarative.builder.probe import MOST_REQUESTS, BudgetSpentError, Prober
from kitestring.declarative.builder.schema_difference import schema_difference
from kitestring.declarative.builder.stream_proposal import Draft, Proposal, count_of
from kitestring.declarative.source import DeclarativeSource
from kitestring.redact import Redactor

ORDER: tuple[str, ...] = ("auth", "records", "pagination", "key", "cursor", "schema")
"""Each builds on what the ones before it have proven."""
FIELD_PATH = ("retriever", "record_selector", "extractor", "field_path")
EXTRACTOR = FIELD_PATH[:-1]
FILTER = ("retriever", "record_selector", "record_filter")


@dataclass(slots=True)
class Proposals:
    """Proposals, notes on what was seen besides, and how many requests were made, of how many at most."""

    proposals: list[Proposal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    requests: int = 0
    most: int = 0

    def values(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def mask(self, mask: Redactor) -> None:
        """Mask secrets in all texts."""
        self.notes = [mask.text(note) for note in self.notes]
        for proposal in self.proposals:
            proposal.title, proposal.evidence = mask.text(proposal.title), mask.text(proposal.evidence)
            proposal.warning = mask.text(proposal.warning)
            proposal.value = mask.value(proposal.value)


def propose(
    manifest: str | Mapping[str, Any],
    config: Mapping[str, Any],
    stream: str,
    what: Collection[str] = ORDER,
    *,
    most: int = MOST_REQUESTS,
    built: Callable[[DeclarativeSource], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    secrets: Collection[str] = (),
) -> Proposals:
    """Proposals for a stream. At most `most` requests are sent; what is already right is a note.

    Raises `ConfigError` for a manifest that cannot be read as far as this stream. `built` is called with each source
    before its first request. `secrets` are masked, whatever the manifest says of them.
    """
    draft, result = Draft(manifest, stream), Proposals()
    prober = Prober(config, stream, built, cancelled, most, secrets)
    propose_with(draft, prober, what, result)
    result.requests, result.most = prober.requests, prober.most
    result.mask(prober.mask)
    return result


def propose_with(draft: Draft, prober: Prober, what: Collection[str], result: Proposals) -> None:
    """Add proposals to the result, each kind on the ground of those before it."""
    makers: dict[str, Callable[[Draft, Prober, list[str]], list[Proposal]]] = {
        "auth": propose_auth,
        "records": propose_records,
        "pagination": propose_pagination,
        "key": propose_key,
        "cursor": propose_cursor,
        "schema": propose_schema,
    }
    wanted = [name for name in ORDER if name in what]
    try:
        for name in list(wanted):
            proposals = makers[name](draft, prober, result.notes)
            result.proposals += proposals
            if proposals and proposals[0].confidence == "proven":
                adopt(draft, proposals[0])
            wanted.remove(name)
    except BudgetSpentError as spent:
        rest = ", ".join(wanted)
        result.notes.append(f"{spent.message}, as many as are allowed. Not tried to the end: {rest}.")


INSIDE: dict[str, tuple[str, ...]] = {
    "auth": ("retriever", "requester", "authenticator"),
    "records": EXTRACTOR,
    "pagination": ("retriever", "paginator"),
    "key": ("primary_key",),
    "cursor": ("incremental_sync",),
    "schema": ("schema_loader",),
}


def adopt(draft: Draft, proposal: Proposal) -> None:
    """Work on as if the proposal had been taken."""
    value = proposal.value
    if proposal.what == "records":
        value = {"type": "DpathExtractor", "field_path": value}
    changes: list[tuple[tuple[str, ...], Any]] = [(INSIDE[proposal.what], value)]
    for edit in proposal.also:
        for place in ("request_parameters", "request_body_json"):
            if edit.value is None and place in edit.path:
                inside = (str(part) for part in edit.path[edit.path.index(place) :])
                changes.append((("retriever", "requester", *inside), None))
    draft.resolved = draft.changed(*changes)


def propose_records(draft: Draft, prober: Prober, notes: list[str]) -> list[Proposal]:
    """Where the records are: each list of the answer, the likely one first, proven by a read."""
    whole = {"type": "DpathExtractor", "field_path": []}
    base = prober.read(draft.changed((EXTRACTOR, whole), (FILTER, None), (("retriever", "paginator"), None)))
    pages = [page for page in base.pages if page.status < 400]
    if not pages or pages[-1].answer is None:
        notes.append(f"Records: the API gave no answer in JSON. {base.error}".strip())
        return []
    answer = pages[-1].answer
    candidates = [(path, len(rows)) for path, rows in ranked_lists(answer, draft.stream)[:4]]
    for path, values in maps_of_objects(answer):
        candidates.append(([*path, "*"], len(values)))
    proposals: list[Proposal] = []
    for number, (path, count) in enumerate(candidates[:4]):
        shown = ".".join(path) or "the answer itself"
        if number == 0 and path == draft.get(*FIELD_PATH):
            notes.append(
                f"Records: they are where the manifest looks for them, at {shown} ({count_of(rows_at(answer, path))})."
            )
            return []
        if not count:
            if not proposals:
                evidence = f"The answer has a list at {shown}, which is empty now."
                proposals.append(
                    Proposal("records", f"Records at {shown}", evidence, draft.place(*FIELD_PATH), path, "likely")
                )
            continue
        read = prober.read(
            draft.changed(
                (EXTRACTOR, {"type": "DpathExtractor", "field_path": path}),
                (("retriever", "paginator"), None),
            )
        )
        if not read.records:
            continue
        fields = (
            ", ".join(str(name) for name in list(read.records[0])[:6]) if isinstance(read.records[0], Mapping) else ""
        )
        evidence = f"A read brought {count_of(read.records)} from {shown}, with the fields {fields}."
        proposals.append(Proposal("records", f"Records at {shown}", evidence, draft.place(*FIELD_PATH), path, "proven"))
    if not candidates:
        notes.append("Records: the answer has no list of objects; it is taken as one record.")
        if draft.get(*FIELD_PATH) != []:
            evidence = "The answer is one object without a list of objects."
            return [Proposal("records", "The answer is the record", evidence, draft.place(*FIELD_PATH), [], "likely")]
    return proposals


def maps_of_objects(answer: Any) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Objects whose values are all objects with the same fields: records by id."""
    maps = []
    stack: list[tuple[list[str], Any]] = [([], answer)]
    while stack:
        path, value = stack.pop()
        if not isinstance(value, Mapping) or len(path) > 3:
            continue
        inner = list(value.values())
        shapes = {frozenset(item) for item in inner if isinstance(item, Mapping)}
        if len(inner) > 1 and len(shapes) == 1 and all(isinstance(item, Mapping) and item for item in inner):
            maps.append((path, value))
        else:
            stack.extend(([*path, str(name)], item) for name, item in list(value.items())[:200])
    return maps


def propose_key(draft: Draft, prober: Prober, notes: list[str]) -> list[Proposal]:
    """The field that is present and different in all records of several pages and slices."""
    read = prober.read(draft.changed(), pages=2, slices=3)
    rows = [row for row in read.records if isinstance(row, Mapping)]
    if len(rows) < 2:
        notes.append(f"Key: {count_of(rows)} are too few to tell. {read.error}".strip())
        return []
    key = key_of(rows, draft.stream)
    if key is None:
        slices = {page.slice for page in read.pages}
        inside = all(
            key_of([row for page in read.pages if page.slice == number for row in page.records], draft.stream)
            for number in slices
        )
        repeated = (
            " within a partition one does, so add a field that names the partition"
            if inside and len(slices) > 1
            else ""
        )
        notes.append(f"Key: no usual field is different in all {count_of(rows)}{';' + repeated if repeated else ''}.")
        return []
    declared = draft.get("primary_key")
    if declared in (key, [key], [[key]]):
        notes.append(f"Key: {key} is different in all {count_of(rows)} that were read, as the manifest has it.")
        return []
    evidence = f"{key} is present and different in all {count_of(rows)} that were read."
    return [Proposal("key", f"Primary key {key}", evidence, draft.place("primary_key"), [key], "proven")]


def propose_schema(draft: Draft, prober: Prober, notes: list[str]) -> list[Proposal]:
    """The schema of the records of several pages, where it differs from the declared one."""
    read = prober.read(draft.changed(), pages=3, slices=3)
    rows = [row for row in read.records if isinstance(row, Mapping)]
    if not rows:
        notes.append(f"Schema: no records were read. {read.error}".strip())
        return []
    key = draft.get("primary_key")
    keys = [part for part in (key if isinstance(key, list) else [key]) if isinstance(part, str)]
    schema = infer_schema(rows, keys)
    declared = draft.get("schema_loader", "schema")
    differences = schema_difference(declared, schema) if isinstance(declared, Mapping) else []
    if isinstance(declared, Mapping) and declared.get("properties") and not differences:
        notes.append(f"Schema: the declared one fits the {count_of(rows)} that were read.")
        return []
    first = f" {differences[0].sentence}" if differences and declared else ""
    evidence = f"It has {len(schema['properties'])} fields and fits all {count_of(rows)} that were read.{first}"
    value = {"type": "InlineSchemaLoader", "schema": schema}
    return [Proposal("schema", "Schema of the records", evidence, draft.place("schema_loader"), value, "proven")]
