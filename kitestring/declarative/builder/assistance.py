"""Suggestions of a model proven on the real API: only what a live read has shown becomes a proposal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kitestring.declarative.builder import paging
from kitestring.declarative.builder.auth_proposals import AUTHENTICATOR, last_status, secret_inputs, users_of
from kitestring.declarative.builder.cursor_proposals import prove_cursor
from kitestring.declarative.builder.list_answer import key_of
from kitestring.declarative.builder.manifest_plan import (
    StreamPlan,
    api_key_authenticator,
    config_template,
    literal_text,
    stream_values,
    unique,
)
from kitestring.declarative.builder.pagination_proposals import PAGINATOR, Candidate, prove
from kitestring.declarative.builder.probe import BudgetSpentError, ProbedRead, Prober
from kitestring.declarative.builder.proposals import ORDER, Proposals, adopt, propose_with
from kitestring.declarative.builder.stream_proposal import Draft, Place, Proposal, count_of
from kitestring.declarative.builder.suggestion import AuthSuggestion, PagingSuggestion, StreamSuggestion, Suggestions
from kitestring.declarative.manifest import parse, resolve
from kitestring.declarative.source import DeclarativeSource
from kitestring.errors import ConfigError

MOST_REQUESTS = 120
BY_MODEL = "The documentation says so, as the model reads it, and the API confirms it:"
FIELD_PATH = ("retriever", "record_selector", "extractor", "field_path")


def assist(
    manifest: str | Mapping[str, Any],
    config: Mapping[str, Any],
    stream: str,
    suggestions: Suggestions,
    *,
    built: Callable[[DeclarativeSource], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    secrets: Collection[str] = (),
    documentation: str = "",
    most: int = MOST_REQUESTS,
) -> Proposals:
    """The suggestions that the API confirms, as proposals. `stream`: the one to work on; empty for new streams.

    What the suggestions leave open for the stream is tried by answers, usual names and names in `documentation`.
    Raises `ConfigError` for a manifest that cannot be read.
    """
    result = Proposals(most=most)
    if suggestions.dropped:
        result.notes.append(f"{suggestions.dropped} suggestions of the model were not usable and are left out.")
    if stream:
        draft = Draft(manifest, stream, documentation)
        prober = Prober(config, stream, built, cancelled, most, secrets)
        suggestion = matching(draft, suggestions.streams)
        prove_for_stream(draft, prober, suggestions.auth, suggestion, result)
        proven = {proposal.what for proposal in result.proposals}
        propose_with(draft, prober, [name for name in ORDER if name not in proven], result)
        return finished(result, prober)
    return new_streams(manifest, config, suggestions, result, built, cancelled, secrets)


def finished(result: Proposals, prober: Prober) -> Proposals:
    result.requests += prober.requests
    result.mask(prober.mask)
    return result


def matching(draft: Draft, suggestions: list[StreamSuggestion]) -> StreamSuggestion | None:
    """The suggestion for a stream: by its path, else by its name, else the only one."""
    path = str(draft.get("retriever", "requester", "path") or "").strip("/")
    for suggestion in suggestions:
        if suggestion.path.strip("/") == path:
            return suggestion
    for suggestion in suggestions:
        if suggestion.name == draft.stream or suggestion.path.rpartition("/")[2] == path.rpartition("/")[2]:
            return suggestion
    return suggestions[0] if len(suggestions) == 1 else None


def prove_for_stream(
    draft: Draft, prober: Prober, auth: AuthSuggestion | None, suggestion: StreamSuggestion | None, result: Proposals
) -> None:
    """Try the suggestions one after the other; each that is proven is the ground of the next."""
    steps: list[Callable[[], Proposal | None]] = []
    if auth is not None:
        steps.append(lambda: prove_auth(draft, prober, auth, result.notes))
    if suggestion is not None:
        steps += [
            lambda: prove_records(draft, prober, suggestion),
            lambda: prove_paging(draft, prober, suggestion.paging),
            lambda: prove_key(draft, prober, suggestion.key),
            lambda: prove_cursor(
                draft, prober, suggestion.cursor_field, suggestion.cursor_parameter, suggestion.cursor_format
            ),
        ]
    for step in steps:
        try:
            proposal = step()
        except BudgetSpentError as spent:
            result.notes.append(f"{spent.message}; nothing more was tried.")
            return
        except ConfigError as error:  # a suggestion that does not fit the rest of the manifest
            result.notes.append(f"A suggestion could not be tried: {error.message}")
            continue
        if proposal is not None:
            if not proposal.evidence.startswith(BY_MODEL):
                proposal.evidence = f"{BY_MODEL} {proposal.evidence}"
            result.proposals.append(proposal)
            adopt(draft, proposal)


def prove_auth(draft: Draft, prober: Prober, auth: AuthSuggestion, notes: list[str]) -> Proposal | None:
    before = last_status(prober.read(draft.changed()))
    if 0 < before < 400:
        return None  # it works as it is
    names = secret_inputs(draft, prober.config)
    if not names:
        way = {"bearer": "a bearer token", "basic": "basic authentication", "api_key": f"the key {auth.name}"}[
            auth.kind
        ]
        notes.append(f"Authentication: the documentation asks for {way}. Add a secret input and fill it in to try it.")
        return None
    for name in names:
        secret = config_template(name)
        if auth.kind == "bearer":
            ways: list[dict[str, Any]] = [{"type": "BearerAuthenticator", "api_token": secret}]
        elif auth.kind == "api_key":
            ways = [api_key_authenticator(f"{auth.prefix} {secret}".strip(), auth.place, auth.name)]
        else:
            pairs = [*((config_template(user), secret) for user in users_of(draft)), (secret, ""), ("", secret)]
            ways = [{"type": "BasicHttpAuthenticator", "username": user, "password": word} for user, word in pairs]
        for authenticator in ways:
            status = last_status(prober.read(draft.changed((AUTHENTICATOR, authenticator))))
            if 0 < status < 400:
                evidence = f"it refused before ({before}) and answered {status} with this."
                place = draft.place(*AUTHENTICATOR, shared=True)
                title = f"Authentication: {auth.kind.replace('_', ' ')}"
                return Proposal("auth", title, evidence, place, authenticator, "proven")
    return None


def prove_records(draft: Draft, prober: Prober, suggestion: StreamSuggestion) -> Proposal | None:
    path = suggestion.records
    if path is None or path == draft.get(*FIELD_PATH):
        return None
    extractor = {"type": "DpathExtractor", "field_path": path}
    read = prober.read(draft.changed((FIELD_PATH[:-1], extractor), (PAGINATOR, None)))
    if not read.records:
        return None
    shown = ".".join(path) or "the answer itself"
    evidence = f"a read brought {count_of(read.records)} from {shown}."
    return Proposal("records", f"Records at {shown}", evidence, draft.place(*FIELD_PATH), path, "proven")


def prove_paging(draft: Draft, prober: Prober, suggestion: PagingSuggestion | None) -> Proposal | None:
    candidate = candidate_of(draft, prober, suggestion) if suggestion is not None else None
    if candidate is None or candidate.paginator == draft.get(*PAGINATOR):
        return None
    plain = prober.read(draft.changed((PAGINATOR, None)))
    return prove(draft, prober, candidate, plain.pages[-1]) if plain.records else None


def candidate_of(draft: Draft, prober: Prober, suggestion: PagingSuggestion) -> Candidate | None:
    name, path, more = suggestion.parameter, suggestion.path, suggestion.more or None
    match suggestion.kind:
        case "link_header":
            return Candidate("the Link header", paging.by_link_header(), "")
        case "next_address" if path:
            return Candidate(f"the address at {'.'.join(path)}", paging.by_address(path), "")
        case "page" if name:
            start = suggestion.start
            return Candidate(f"number in {name}, from {start}", paging.by_page(name, start), "", name, True)
        case "offset" if name:
            return Candidate(f"offset in {name}", paging.by_offset(name), "", name, True)
        case "cursor" if name and path:
            title = f"the cursor at {'.'.join(path)} in {name}"
            return Candidate(title, paging.by_cursor(name, path, more=more), "", name)
        case "last_record" if name:
            rows = prober.read(draft.changed((PAGINATOR, None))).records
            own = key_of(rows, draft.stream)
            if own is not None:
                return Candidate(f"the last {own} in {name}", paging.by_last_record(name, own, more=more), "", name)
    return None


def prove_key(draft: Draft, prober: Prober, name: str) -> Proposal | None:
    if not name or draft.get("primary_key") in (name, [name], [[name]]):
        return None
    rows = [row for row in prober.read(draft.changed(), pages=2, slices=3).records if isinstance(row, Mapping)]
    values = [row.get(name) for row in rows]
    plain = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)
    if len(rows) < 2 or not plain or len({(type(value), value) for value in values}) < len(values):
        return None
    evidence = f"{name} is present and different in all {count_of(rows)} that were read."
    return Proposal("key", f"Primary key {name}", evidence, draft.place("primary_key"), [name], "proven")


def new_streams(
    manifest: str | Mapping[str, Any],
    config: Mapping[str, Any],
    suggestions: Suggestions,
    result: Proposals,
    built: Callable[[DeclarativeSource], None] | None,
    cancelled: Callable[[], bool],
    secrets: Collection[str],
) -> Proposals:
    """Proposals of new streams. Each goes to the end of the manifest's list, in the order of the proposals."""
    raw: Any = parse(manifest) if isinstance(manifest, str) else manifest
    resolved = resolve(raw)
    streams = list(raw.get("streams") or [])
    requester = base_requester(raw, resolved)
    if requester is None:
        result.notes.append("Streams: the manifest has no base address yet. Set one: credentials are sent to no other.")
        return result
    known = [item for item in resolved.get("streams") or [] if isinstance(item, Mapping)]
    names = [str(item.get("name")) for item in known]
    paths = {str(((item.get("retriever") or {}).get("requester") or {}).get("path")).strip("/") for item in known}
    remaining, auth = result.most, suggestions.auth
    for suggestion in suggestions.streams:
        if suggestion.path.strip("/") in paths or remaining <= 0:
            continue
        name = unique(suggestion.name, names)
        plan = StreamPlan(name, literal_text(suggestion.path), records=suggestion.records or [])
        plan.parameters = {key: literal_text(value) for key, value in suggestion.parameters.items()}
        value = stream_values(plan)
        value["retriever"]["requester"] = {**requester, **without(value["retriever"]["requester"], "$ref")}
        draft = Draft({**raw, "streams": [*streams, value]}, name)
        prober = Prober(config, name, built, cancelled, remaining, secrets)
        try:
            proven, read = prove_new(draft, prober, auth, suggestion, result)
        except BudgetSpentError as spent:
            result.notes.append(f"{spent.message}; nothing more was tried.")
            break
        except ConfigError as error:
            result.notes.append(f"{name} could not be tried: {error.message}")
            continue
        finally:
            remaining -= prober.requests
            result.requests += prober.requests
            result.mask(prober.mask)
        for proposal in proven:
            if proposal.what == "auth":
                auth, raw = None, with_place(raw, proposal)
        if read.records:
            final = final_stream(value, draft)
            evidence = f"{BY_MODEL} a read brought {count_of(read.records)}."
            evidence += "".join(f" {proposal.title}." for proposal in proven if proposal.what != "auth")
            place: Place = ["streams", len(streams)]
            result.proposals.append(Proposal("stream", f"Stream {name}", evidence, place, final, "proven"))
            streams.append(final)
            names.append(name)
    return result


def prove_new(
    draft: Draft, prober: Prober, auth: AuthSuggestion | None, suggestion: StreamSuggestion, result: Proposals
) -> tuple[list[Proposal], ProbedRead]:
    """The proven settings of a new stream, and a read with all of them. A proven authentication is apart."""
    inner = Proposals()
    prove_for_stream(draft, prober, auth, suggestion, inner)
    kinds = {proposal.what for proposal in inner.proposals}
    propose_with(draft, prober, [what for what in ("records", "pagination", "key") if what not in kinds], inner)
    proven = [proposal for proposal in inner.proposals if proposal.confidence == "proven"]
    result.proposals += [proposal for proposal in proven if proposal.what == "auth"]
    read = prober.read(draft.changed())
    if not read.records:
        authentication = [note for note in inner.notes if note.startswith("Authentication")]
        result.notes += [note for note in authentication if note not in result.notes]
        result.notes.append(f"{draft.stream}: GET /{suggestion.path} brought no records. {read.error}".strip())
    return proven, read


def final_stream(value: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    """The new stream with what was proven, its requester as it was written."""
    own = draft.values
    retriever = {**value["retriever"], "record_selector": own["retriever"]["record_selector"]}
    paginator = draft.get(*PAGINATOR)
    if paginator is not None:
        retriever["paginator"] = paginator
    final = {**value, "retriever": retriever}
    key_fields = draft.get("primary_key")
    return {**final, "primary_key": key_fields} if key_fields else final


def base_requester(raw: Mapping[str, Any], resolved: Mapping[str, Any]) -> dict[str, Any] | None:
    """The requester that new streams share: the definition, or the address and credentials of the first stream."""
    definitions = raw.get("definitions")
    shared = definitions.get("requester") if isinstance(definitions, Mapping) else None
    if isinstance(shared, Mapping) and (shared.get("url_base") or shared.get("url")):
        return {"$ref": "#/definitions/requester"}
    for stream in resolved.get("streams") or []:
        retriever = stream.get("retriever") if isinstance(stream, Mapping) else None
        requester = retriever.get("requester") if isinstance(retriever, Mapping) else None
        if isinstance(requester, Mapping) and requester.get("url_base"):
            kept = ("type", "url_base", "authenticator")
            return {name: requester[name] for name in kept if name in requester}
    return None


def with_place(raw: Mapping[str, Any], proposal: Proposal) -> Mapping[str, Any]:
    """The manifest with a shared value set where the proposal says, where that is in the definitions."""
    if proposal.path[:1] != ["definitions"]:
        return raw
    values: Any = dict(raw)
    node = values
    for part in proposal.path[:-1]:
        node[part] = dict(node[part])
        node = node[part]
    node[proposal.path[-1]] = proposal.value
    return values  # type: ignore[no-any-return]


def without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
