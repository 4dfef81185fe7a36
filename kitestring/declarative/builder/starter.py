"""Draft the first manifest of an API: small, commented, ready to run."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlsplit

from kitestring.errors import ConfigError

VERSION = "6.48.10"
AUTHS = "none, bearer, basic, header:NAME, query:NAME"
PAGINGS = "none, page:PARAMETER, offset:PARAMETER, cursor:PARAMETER=PATH, link"


def draft(
    url: str, *, records: str = "", stream: str = "", auth: str = "none", paging: str = "none", key: str = "id"
) -> str:
    """The text of a manifest for the address of a list. Raises `ConfigError` for invalid arguments.

    `records`: their path in the response, dots for nesting, `*` for every item of a list; empty if the response is the
    list. `auth`: none, bearer, basic, header:NAME or query:NAME. `paging`: none, page:PARAMETER, offset:PARAMETER,
    cursor:PARAMETER=PATH (path of the next cursor in the response), or link (the Link header). `key`: the primary key.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username:
        raise ConfigError(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} is not an address to read from",
            hint="Use the full address of a list, without a password: https://api.example.com/v1/things",
        )
    path = parts.path.strip("/")
    name = stream or re.sub(r"\W+", "_", path.rpartition("/")[2].partition(".")[0]).strip("_").lower() or "records"
    field_path = [name_part for name_part in records.split(".") if name_part]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    credentials, fields = authenticator(auth)
    pages = paginator(paging, query)
    lines = [
        f"# {parts.netloc}, written by `kitestring manifest new`. How to edit it: docs/howto/build-a-manifest.md.",
        "#   kitestring manifest validate FILE     finds defects and their lines",
        "#   kitestring manifest test FILE         reads a page and shows the result",
        "",
        f"version: {VERSION}",
        "type: DeclarativeSource",
        "",
        "# The stream that `kitestring check` reads: one that every account has.",
        "check:",
        "  type: CheckStream",
        f"  stream_names: [{quote(name)}]",
        "",
        "definitions:",
        "  # The common part of all streams. A stream includes it with `$ref` and adds to it.",
        "  requester:",
        "    type: HttpRequester",
        f"    url_base: {quote(f'{parts.scheme}://{parts.netloc}')}",
        "    http_method: GET",
        *indent(credentials, 4),
        "    # Server errors and rate limits are retried by default; an error handler adds the rules of this API.",
        "    # error_handler: {type: DefaultErrorHandler, max_retries: 5}",
        "",
        "streams:",
        "  - type: DeclarativeStream",
        f"    name: {quote(name)}",
        "    # Identifies a record. Without it, a later sync can only append or replace everything.",
        f"    primary_key: [{quote(key)}]",
        "    retriever:",
        "      type: SimpleRetriever",
        "      requester:",
        '        $ref: "#/definitions/requester"',
        f"        path: {quote(path)}",
        *(["        request_parameters:"] if query else []),
        *(f"          {quote(k)}: {quote(v)}" for k, v in query.items()),
        "      record_selector:",
        "        type: RecordSelector",
        "        # The path of the records in the response; [] if the response is the list itself.",
        f"        extractor: {{type: DpathExtractor, field_path: [{', '.join(map(quote, field_path))}]}}",
        *indent(pages, 6),
        "    # To read only new records, add incremental_sync (DatetimeBasedCursor).",
        "    # `kitestring manifest test FILE --schema` infers a schema to replace this one.",
        "    schema_loader:",
        "      type: InlineSchemaLoader",
        f"      schema: {{type: object, additionalProperties: true, properties: {{{quote(key)}: {{}}}}}}",
        "",
        "# The form of the configuration. airbyte_secret keeps a value out of logs and responses.",
        "spec:",
        "  type: Spec",
        "  connection_specification:",
        "    type: object",
        f"    required: [{', '.join(fields)}]",
        *(["    properties:"] if fields else ["    properties: {}"]),
        *(
            f"      {name_part}: {{type: string, title: {title}{', airbyte_secret: true' if secret else ''}}}"
            for name_part, (title, secret) in fields.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def authenticator(auth: str) -> tuple[list[str], dict[str, tuple[str, bool]]]:
    """The lines of the authenticator, and its fields in the form: name → title, whether it is secret."""
    kind, _, name = auth.partition(":")
    if kind == "none":
        return ["# authenticator: {type: BearerAuthenticator, api_token: \"{{ config['api_token'] }}\"}"], {}
    if kind == "bearer":
        lines = ["authenticator:", "  type: BearerAuthenticator", "  api_token: \"{{ config['api_token'] }}\""]
        return lines, {"api_token": ("API token", True)}
    if kind == "basic":
        lines = [
            "authenticator:",
            "  type: BasicHttpAuthenticator",
            "  username: \"{{ config['username'] }}\"",
            "  password: \"{{ config['password'] }}\"",
        ]
        return lines, {"username": ("User name", False), "password": ("Password", True)}
    if kind in ("header", "query") and name:
        place = "header" if kind == "header" else "request_parameter"
        lines = [
            "authenticator:",
            "  type: ApiKeyAuthenticator",
            "  api_token: \"{{ config['api_key'] }}\"",
            f"  inject_into: {{type: RequestOption, inject_into: {place}, field_name: {quote(name)}}}",
        ]
        return lines, {"api_key": ("API key", True)}
    raise ConfigError(f"{auth!r} is not a kind of authentication", hint=f"One of: {AUTHS}.")


def paginator(paging: str, query: dict[str, str]) -> list[str]:
    """The lines of the paginator. A page size in the query moves into the paginator."""
    kind, _, rest = paging.partition(":")
    size_name = next(
        (size_field for size_field in ("per_page", "page_size", "limit", "pageSize", "count") if size_field in query),
        "",
    )
    number = query.get(size_name, "")
    sized = number.isdigit() and kind in ("page", "offset", "cursor")
    size = int(number) if sized else 0
    if sized:
        del query[size_name]
    size_lines = [
        f"  page_size_option: {{type: RequestOption, inject_into: request_parameter, field_name: {quote(size_name)}}}"
    ]
    size_lines = size_lines if sized else []
    head = ["paginator:", "  type: DefaultPaginator"]
    if kind == "none" and not rest:
        return ["# One page only. For more, add a paginator: the how-to shows page numbers, offsets and cursors."]
    if kind == "link" and not rest:
        return [
            *head,
            "  # The Link header has the address of the next page.",
            "  page_token_option: {type: RequestPath}",
            "  pagination_strategy:",
            "    type: CursorPagination",
            "    cursor_value: \"{{ headers['link']['next']['url'] }}\"",
            "    stop_condition: \"{{ 'next' not in headers['link'] }}\"",
        ]
    name, _, path = rest.partition("=")
    option = [
        f"  page_token_option: {{type: RequestOption, inject_into: request_parameter, field_name: {quote(name)}}}"
    ]
    ends = "  # Ends with a page of fewer records." if sized else "  # Ends with an empty page: no page size is known."
    size_part = f"page_size: {size}" if sized else ""
    if kind == "page" and name and not path:
        start = query.pop(name, "1")
        first = f"start_from_page: {int(start) if start.isdigit() else 1}"
        inside = ", ".join(filter(None, ["type: PageIncrement", size_part, first, "inject_on_first_request: true"]))
        return [*head, ends, *option, *size_lines, f"  pagination_strategy: {{{inside}}}"]
    if kind == "offset" and name and not path:
        query.pop(name, None)
        inside = ", ".join(filter(None, ["type: OffsetIncrement", size_part]))
        return [*head, ends, *option, *size_lines, f"  pagination_strategy: {{{inside}}}"]
    if kind == "cursor" and name and path:
        query.pop(name, None)
        value = "response" + "".join(f".get({size_field!r}, {{}})" for size_field in path.split(".")[:-1])
        value += f".get({path.split('.')[-1]!r})"
        return [
            *head,
            *option,
            *size_lines,
            "  pagination_strategy:",
            "    type: CursorPagination",
            *([f"    page_size: {size}"] if sized else []),
            f"    cursor_value: {quote('{{ ' + value + ' }}')}",
            f"    stop_condition: {quote('{{ not ' + value + ' }}')}",
        ]
    raise ConfigError(f"{paging!r} is not a kind of paging", hint=f"One of: {PAGINGS}.")


def quote(text: str) -> str:
    """A text as YAML, without quotes if that is safe."""
    return (
        text
        if re.fullmatch(r"[a-z][a-z_]*", text) and text not in YAML_CONSTANTS
        else json.dumps(text, ensure_ascii=False)
    )


YAML_CONSTANTS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def indent(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]
