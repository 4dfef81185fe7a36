"""The first manifest of `kitestring manifest new`: small, commented, ready to run."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kitestring.declarative.builder import paging as kinds
from kitestring.declarative.builder.http_call import name_of_path, origin_of
from kitestring.declarative.builder.manifest_plan import (
    Input,
    ManifestPlan,
    StreamPlan,
    api_key_authenticator,
    config_template,
    literal_text,
)
from kitestring.errors import ConfigError

AUTHS = "none, bearer, basic, header:NAME, query:NAME"
PAGINGS = "none, page:PARAMETER, offset:PARAMETER, cursor:PARAMETER=PATH, link"
SIZE_NAMES = ("per_page", "page_size", "limit", "pageSize", "count")
"""Parameters of an address whose number is the size of a page."""
RETRIEVER = ("streams", 0, "retriever")
COMMENTS: dict[tuple[str | int, ...], list[str]] = {
    ("check",): ["The stream that `kitestring check` reads: one that every account has."],
    ("definitions",): ["The common part of all streams. A stream includes it with `$ref` and adds to it."],
    ("definitions", "requester", "url_base"): [
        "Server errors and rate limits are retried by default. An error handler adds the rules of this API:",
        "error_handler: {type: DefaultErrorHandler, max_retries: 5}",
    ],
    ("streams", 0, "primary_key"): [
        "Identifies a record. Without it, a later sync can only append or replace everything."
    ],
    ("streams", 0, "retriever"): ["To read only new records, add incremental_sync (DatetimeBasedCursor)."],
    (*RETRIEVER, "record_selector", "extractor"): [
        "The path of the records in the response; [] if the response is the list itself."
    ],
    ("streams", 0, "schema_loader"): ["`kitestring manifest test FILE --schema` infers a schema to replace this one."],
    ("spec",): ["The form of the configuration. airbyte_secret keeps a value out of logs and responses."],
}


def draft(
    url: str, *, records: str = "", stream: str = "", auth: str = "none", paging: str = "none", key: str = "id"
) -> str:
    """The text of a manifest for the address of a list: `first_plan` as YAML."""
    return first_plan(url, records=records, stream=stream, auth=auth, paging=paging, key=key).text()


def first_plan(
    url: str, *, records: str = "", stream: str = "", auth: str = "none", paging: str = "none", key: str = "id"
) -> ManifestPlan:
    """The plan of a manifest for the address of a list. Raises `ConfigError` for invalid arguments.

    `records`: their path in the response, dots for nesting, `*` for every item of a list; empty if the response is the
    list. `auth`: none, bearer, basic, header:NAME or query:NAME. `paging`: none, page:PARAMETER, offset:PARAMETER,
    cursor:PARAMETER=PATH (path of the next cursor in the response), or link (the Link header). `key`: the primary key.
    """
    parts = urlsplit(url)
    origin = origin_of(url)
    if parts.username:
        raise ConfigError(
            f"the address of {origin} contains a user name",
            hint="Use the address without it, and `--auth basic`: the manifest has no credentials.",
        )
    plan = ManifestPlan(parts.netloc, origin, comments=dict(COMMENTS))
    plan.heading = [
        f"{parts.netloc}, written by `kitestring manifest new`. How to edit it: docs/howto/build-a-manifest.md.",
        "  kitestring manifest validate FILE     finds defects and their lines",
        "  kitestring manifest test FILE         reads a page and shows the result",
    ]
    plan.authenticator = authenticator(auth, plan)
    if plan.authenticator is None:
        plan.comments["definitions", "requester", "url_base"] += [
            "authenticator: {type: BearerAuthenticator, api_token: \"{{ config['api_token'] }}\"}"
        ]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    paginator = paginator_of(paging, query)
    if paginator is None:
        plan.comments[*RETRIEVER, "record_selector"] = [
            "One page only. For more, add a paginator: the how-to shows page numbers, offsets and cursors."
        ]
    elif (comment := end_of_pages(paginator)) is not None:
        plan.comments[*RETRIEVER, "paginator"] = [comment]
    plan.streams = [
        StreamPlan(
            stream or name_of_path(parts.path),
            literal_text(unquote(parts.path).strip("/")),
            parameters={name: literal_text(value) for name, value in query.items()},
            records=[part for part in records.split(".") if part],
            primary_key=[key],
            paginator=paginator,
            schema={"type": "object", "additionalProperties": True, "properties": {key: {}}},
        )
    ]
    return plan


def authenticator(auth: str, plan: ManifestPlan) -> dict[str, Any] | None:
    """The authenticator of a kind; its fields become inputs of the plan."""

    def input_template(name: str, title: str, *, secret: bool = True) -> str:
        return config_template(plan.add_input(Input(name, title, secret=secret)))

    kind, _, name = auth.partition(":")
    if kind == "none":
        return None
    if kind == "bearer":
        return {"type": "BearerAuthenticator", "api_token": input_template("api_token", "API token")}
    if kind == "basic":
        return {
            "type": "BasicHttpAuthenticator",
            "username": input_template("username", "User name", secret=False),
            "password": input_template("password", "Password"),
        }
    if kind in ("header", "query") and name:
        place = "header" if kind == "header" else "request_parameter"
        return api_key_authenticator(input_template("api_key", "API key"), place, name)
    raise ConfigError(f"{auth!r} is not a kind of authentication", hint=f"One of: {AUTHS}.")


def paginator_of(paging: str, query: dict[str, str]) -> dict[str, Any] | None:
    """The paginator of a kind. What it sends leaves the query: the page, and a page size."""
    kind, _, rest = paging.partition(":")
    name, _, path = rest.partition("=")
    if kind == "none" and not rest:
        return None
    if kind == "link" and not rest:
        return kinds.by_link_header()
    if kind not in ("page", "offset", "cursor") or not name or bool(path) != (kind == "cursor"):
        raise ConfigError(f"{paging!r} is not a kind of paging", hint=f"One of: {PAGINGS}.")
    start = query.pop(name, "")
    size_name = next((size_name for size_name in SIZE_NAMES if query.get(size_name, "").isdigit()), "")
    size = int(query.pop(size_name)) if size_name else None
    if kind == "page":
        return kinds.by_page(name, int(start) if start.isdigit() else 1, size_name=size_name, size=size)
    if kind == "offset":
        return kinds.by_offset(name, size_name=size_name, size=size)
    return kinds.by_cursor(name, path.split("."), size_name=size_name, size=size)


def end_of_pages(paginator: dict[str, Any]) -> str | None:
    """A comment about the last page, if the paginator itself does not say it."""
    strategy = paginator["pagination_strategy"]
    if strategy["type"] == "CursorPagination":
        return None
    if "page_size" in strategy:
        return "Ends with a page of fewer records."
    return "Ends with an empty page: no page size is known."
