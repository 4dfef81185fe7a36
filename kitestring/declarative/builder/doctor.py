"""Find what loses data or credentials although every request succeeds, by rules learned from real APIs.

A finding that does not apply to an API is accepted in the manifest, with a reason:

    metadata:
      doctor:
        - {rule: unmarked-end, streams: [contacts], reason: the API leaves `paging` out on the last page}

Without `streams` it applies to all streams. An acceptance without a finding is a finding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kitestring.declarative.connection import Connection
from kitestring.declarative.keyword import BuildContext, Node
from kitestring.declarative.manifest import connection_specification
from kitestring.declarative.paginator import Headers
from kitestring.declarative.template import Templates
from kitestring.errors import ConfigError, KitestringError

Json = Mapping[str, Any]
FULL_PAGE = 100
DESCENDING = re.compile(r"desc|reverse|newest|[\"=\s]-\w*(updated|modified|created)", re.I)
ASCENDING = re.compile(r"\basc(ending)?\b|[\"=\s](updated|modified)\w*\s*asc", re.I)
CREATION = re.compile(r"(^|_)(created|committed|authored|submitted|started|occurred|posted|date|time|ts)(_|$)|At$")
CHANGE = re.compile(r"updat|modif|edit|chang|last", re.I)
SECRET = re.compile(r"(secret|token|password|api_key|private_key)$")
NO_SECRET = re.compile(r"expir|endpoint|url|name|type", re.I)


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of a rule. `accepted`: the manifest's reason for accepting it."""

    rule: str
    stream: str
    message: str
    fix: str
    accepted: str = ""


def examine(manifest: Json) -> list[Finding]:
    """The findings of a resolved manifest; `stream` is empty for one about the whole manifest. Raises `ConfigError` for
    an invalid manifest."""
    try:
        return _find_all(manifest)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the manifest is malformed and cannot be examined: {error}",
            hint="Run kitestring manifest validate to find the defect; metadata.doctor is a list of "
            "{rule, streams, reason}.",
        ) from error


def _find_all(manifest: Json) -> list[Finding]:
    findings = [*_of_credentials(manifest)]
    keys: set[tuple[str, str]] = set()
    templates = [dynamic.get("stream_template") for dynamic in manifest.get("dynamic_streams") or ()]
    for stream in _streams([*(manifest.get("streams") or ()), *templates]):
        for rule in (_unmarked_end, _drifting_pages, _late_records, _shared_cursor, _no_key):
            for finding in rule(stream):
                if (finding.rule, finding.stream) not in keys:
                    keys.add((finding.rule, finding.stream))
                    findings.append(finding)
    return _apply_acceptances(findings, manifest)


def _apply_acceptances(findings: list[Finding], manifest: Json) -> list[Finding]:
    out, unused = list(findings), []
    for entry in (manifest.get("metadata") or {}).get("doctor") or ():
        rule, names = str(entry["rule"]), entry.get("streams")
        fits = [
            n for n, finding in enumerate(out) if finding.rule == rule and (names is None or finding.stream in names)
        ]
        missing = set(names or ()) - {out[n].stream for n in fits}
        for n in fits:
            out[n] = replace(out[n], accepted=str(entry["reason"]))
        if not fits or missing:
            where = f" of {', '.join(sorted(missing))}" if missing else ""
            message = f"metadata.doctor accepts {rule}{where}, but there is no such finding"
            unused.append(Finding("unused-acceptance", "", message, "Remove the entry."))
    return out + unused


def _streams(streams: Any) -> Iterator[Json]:
    """The streams of a manifest, also those in conditions, partition routers and lookups."""
    for stream in streams:
        if not isinstance(stream, Mapping):
            continue
        for inner in ("full_refresh_stream", "incremental_stream"):
            if isinstance(stream.get(inner), Mapping):
                yield from _streams([stream[inner]])
        if isinstance(stream.get("retriever"), Mapping):
            yield stream
            yield from _streams(_parent_streams(stream["retriever"].get("partition_router")))
        if stream.get("type") == "ConditionalStreams":
            yield from _streams(stream.get("streams") or ())
        yield from _streams([lookup.get("stream") for lookup in stream.get("lookups") or ()])


def _parent_streams(router: Any) -> Iterator[Any]:
    for inner_router in router if isinstance(router, list) else [router]:
        if isinstance(inner_router, Mapping):
            yield from (parent.get("stream") for parent in inner_router.get("parent_stream_configs") or ())
            for inner in (
                *(inner_router.get("partition_routers") or ()),
                inner_router.get("underlying_partition_router"),
            ):
                yield from _parent_streams(inner)


# -- pages -------------------------------------------------------------------------------------------------------------


def _unmarked_end(stream: Json) -> Iterator[Finding]:
    """A full page without a pointer to the next page must not count as the last page."""
    retriever = stream["retriever"]
    strategy = (retriever.get("paginator") or {}).get("pagination_strategy") or {}
    if strategy.get("type") != "CursorPagination" or "headers" in str(strategy.get("cursor_value")):
        return
    size = strategy.get("page_size")
    count = size if isinstance(size, int) else FULL_PAGE
    extractor = (retriever.get("record_selector") or {}).get("extractor") or {}
    path = [_value(part, {}, extractor.get("$parameters")) for part in extractor.get("field_path") or []]
    record = {"id": "1", "updated_at": "2026-01-01T00:00:00Z"}
    body: Any = [record] * count
    for name in reversed([part for part in path if part != "*"]):
        body = {str(name): body}
    context = {
        "response": body,
        "headers": Headers({}),
        "last_page_size": count,
        "last_record": record,
    }
    if "last_record" in str(strategy.get("cursor_value")) and not strategy.get("stop_condition"):
        return
    try:
        stops = bool(strategy.get("stop_condition")) and _condition(strategy["stop_condition"], context)
        goes_on = bool(_value(strategy.get("cursor_value"), context))
    except KitestringError:
        return  # the template fails, so the stream fails too
    if (stops or not goes_on) and not _is_refused(retriever.get("requester") or {}, context):
        yield Finding(
            "unmarked-end",
            str(stream.get("name")),
            f"a page with {count} records and no pointer to a next page ends the stream",
            "Let the error handler FAIL if the pointer is missing and the page is full, or accept it with a reason.",
        )


def _is_refused(requester: Json, context: Mapping[str, Any]) -> bool:
    """Whether the error handler fails such a response; with several handlers each must."""
    handler = requester.get("error_handler") or {}
    return all(_fails(inner, context) for inner in handler.get("error_handlers") or [handler])


def _fails(handler: Json, context: Mapping[str, Any]) -> bool:
    for response_filter in handler.get("response_filters") or ():
        if response_filter.get("action") == "FAIL" and response_filter.get("predicate"):
            try:
                if _condition(response_filter["predicate"], context):
                    return True
            except KitestringError:
                continue
    return False


def _drifting_pages(stream: Json) -> Iterator[Finding]:
    """Numbered pages in an order in which a change moves a record to the end."""
    retriever, cursor = stream["retriever"], stream.get("incremental_sync")
    if not isinstance(cursor, Mapping) or not CHANGE.search(str(cursor.get("cursor_field"))):
        return
    strategy = (retriever.get("paginator") or {}).get("pagination_strategy") or {}
    counted = strategy.get("type") in ("PageIncrement", "OffsetIncrement") or "link" in str(
        strategy.get("cursor_value")
    )
    requester = retriever.get("requester") or {}
    request = json.dumps(
        {key: requester.get(key) for key in requester if key.startswith("request_") or key == "path"}, default=str
    )
    if not counted or DESCENDING.search(request) or cursor.get("is_data_feed"):
        return
    filtered = bool(cursor.get("start_time_option")) or "stream_interval" in request or "stream_slice" in request
    if ASCENDING.search(request) or filtered:
        yield Finding(
            "drifting-pages",
            str(stream.get("name")),
            f"pages are numbered, but not ordered by {cursor.get('cursor_field')} with the newest first: a record that "
            "changes during the read moves, and the record after it is skipped forever",
            "Request the newest changes first, or page by a cursor of the API.",
        )


# -- cursors -----------------------------------------------------------------------------------------------------------


def _late_records(stream: Json) -> Iterator[Finding]:
    """A cursor on the creation time without lookback: late records and changes are never read."""
    cursor = stream.get("incremental_sync")
    if not isinstance(cursor, Mapping) or cursor.get("type") != "DatetimeBasedCursor":
        return
    name = str(cursor.get("cursor_field"))
    back = str(cursor.get("lookback_window") or "")
    if CHANGE.search(name) or not CREATION.search(name) or (back and not re.fullmatch(r"P(T?0\w)?", back)):
        return
    yield Finding(
        "late-records",
        str(stream.get("name")),
        f"{name} is the creation time of a record, and there is no lookback_window: records that appear late or change "
        "are not read",
        "Add a lookback_window, or accept it if records appear in order and never change.",
    )


def _shared_cursor(stream: Json) -> Iterator[Finding]:
    """One cursor for all partitions of a parent without partitions: a new partition cannot be recognised."""
    cursor, router = stream.get("incremental_sync"), stream["retriever"].get("partition_router")
    if not isinstance(cursor, Mapping) or not cursor.get("global_substream_cursor"):
        return
    if isinstance(router, Mapping) and router.get("type") == "SubstreamPartitionRouter":
        configs = router.get("parent_stream_configs") or ()
        if all(parent.get("incremental_dependency") for parent in configs):
            return  # partitions are changed records: a new one has no history
    parents = [parent for parent in _parent_streams(router) if isinstance(parent, Mapping)]
    if not parents or any(not (parent.get("retriever") or {}).get("partition_router") for parent in parents):
        yield Finding(
            "one-cursor",
            str(stream.get("name")),
            "all partitions share one cursor: one that is added later is read from this cursor on, without its history",
            "Remove global_substream_cursor, or accept it if no record is older than its partition.",
        )


def _no_key(stream: Json) -> Iterator[Finding]:
    if not stream.get("primary_key") and stream.get("incremental_sync"):
        yield Finding(
            "no-key",
            str(stream.get("name")),
            "has a cursor but no primary key: records that are read twice cannot be recognised",
            "Set the fields that identify a record.",
        )


# -- credentials -------------------------------------------------------------------------------------------------------


def _of_credentials(manifest: Json) -> Iterator[Finding]:
    names = dict(_authenticators(manifest, ""))
    for name, authenticator in names.items():
        kind = authenticator.get("type")
        if "oauth" in name.lower() and kind in ("BearerAuthenticator", "ApiKeyAuthenticator"):
            yield Finding(
                "token-without-refresh",
                "",
                f"{name} is used until it expires, and nothing renews it",
                "Use an OAuthAuthenticator with refresh_token_updater, or accept it if such tokens never expire.",
            )
        grant = str(authenticator.get("grant_type") or "refresh_token")
        if kind == "OAuthAuthenticator" and grant == "refresh_token" and "refresh_token_updater" not in authenticator:
            yield Finding(
                "refresh-not-kept",
                "",
                f"{name or 'the authenticator'} discards the refresh token that comes with a new access token",
                "Add refresh_token_updater, or accept it if the vendor's refresh token stays the same.",
            )
    options = dict(_options(connection_specification(manifest)))
    authenticators = json.dumps(list(names.values()), default=str)
    if "refresh_token" in options and "OAuthAuthenticator" not in authenticators:
        yield Finding(
            "token-without-refresh",
            "",
            "the form has a refresh_token, but no authenticator uses it",
            "Use an OAuthAuthenticator.",
        )
    for option, described in options.items():
        if SECRET.search(option) and not NO_SECRET.search(option) and not described.get("airbyte_secret"):
            yield Finding("open-secret", "", f"the option {option} is not marked as a secret", "Add airbyte_secret.")


def _authenticators(node: Any, name: str) -> Iterator[tuple[str, Json]]:
    """Every authenticator of the manifest, with the name of its choice."""
    if isinstance(node, Mapping):
        kind = str(node.get("type", ""))
        if kind == "SelectiveAuthenticator":
            for choice, inner in (node.get("authenticators") or {}).items():
                yield from _authenticators(inner, str(choice))
            return
        if kind.endswith("Authenticator"):
            yield name, node
        for inner in node.values():
            yield from _authenticators(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from _authenticators(inner, name)


def _options(form: Any) -> Iterator[tuple[str, Json]]:
    """Every option of a form with its definition, also nested ones."""
    if not isinstance(form, Mapping):
        return
    for name, described in (form.get("properties") or {}).items():
        if isinstance(described, Mapping):
            if described.get("type") in (None, "string", ["string"], ["string", "null"]) and "const" not in described:
                yield name, described
            yield from _options(described)
    for combinator in ("oneOf", "anyOf", "allOf"):
        for branch in form.get(combinator) or ():
            yield from _options(branch)


# -- templates ---------------------------------------------------------------------------------------------------------


def _node(parameters: Json | None = None) -> Node:
    config: dict[str, Any] = {"credentials": {}}
    return Node(
        {"type": "doctor", "$parameters": parameters}, "", BuildContext(config, Templates(config), Connection(), None)
    )


def _value(text: Any, context: Mapping[str, Any], parameters: Json | None = None) -> Any:
    template: Callable[[Any], Any] = _node(parameters).template(text)
    return template(context)


def _condition(text: Any, context: Mapping[str, Any]) -> bool:
    condition: Callable[[Any], bool] = _node().condition(text)
    return condition(context)
