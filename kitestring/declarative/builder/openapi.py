"""An OpenAPI document as a manifest: its lists become streams, with paging, parents, schemas and credentials."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring.declarative.builder import openapi_security, paging
from kitestring.declarative.builder.list_answer import LIST_NAMES
from kitestring.declarative.builder.manifest_plan import (
    Input,
    ManifestPlan,
    Parent,
    StreamPlan,
    config_template,
    literal_text,
    singular,
    snake,
    title_of,
    unique,
)
from kitestring.declarative.builder.openapi_document import OpenApiDocument, mapping, sequence
from kitestring.errors import ConfigError

MOST_OPERATIONS = 10_000
LARGEST_PAGE = 1000
IGNORED_HEADERS = frozenset(
    {"authorization", "accept", "content-type", "user-agent", "accept-language", "if-none-match"}
)
LARGEST = re.compile(
    r"\b(?:max|maximum|up to|at most|limit of)\b[^.\d]{0,30}\b(\d{1,5})\b|\b(\d{1,5}) max", re.IGNORECASE
)
"""The largest page in the description of a parameter."""
SINCE = re.compile(
    r"^(?:since|(?:updated|modified|changed|last_modified)_?(?:since|after|from|at|gte|min)|"
    r"(?:start_time|start_date|from_date|date_from|min_date))$"
)


@dataclass(slots=True)
class ListOperation:
    """A GET operation that answers with a list."""

    path: str
    values: Mapping[str, Any]
    parameters: list[Mapping[str, Any]]
    records: list[str]
    item: Any
    answer: Mapping[str, Any]
    headers: Mapping[str, Any]
    name: str = ""
    variables: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        text = str(self.values.get("summary") or self.values.get("description") or "").strip()
        return text.split("\n")[0][:200]


class OpenApiPlanner:
    """Makes the plan of a document's manifest."""

    def __init__(self, document: OpenApiDocument) -> None:
        self.document, self.notes = document, list[str]()
        self.since: dict[str, list[str]] = {}
        self.lists = self._list_operations()
        if not self.lists:
            raise ConfigError(
                "the document has no GET operation whose response is a list",
                hint="Begin with the address of a list, or with a cURL line.",
            )
        self._name_lists()
        self._by_collection = {operation.path.rstrip("/"): operation for operation in self.lists}

    def plan(self, chosen: Collection[str], *, most: int) -> tuple[ManifestPlan, list[tuple[ListOperation, bool]]]:
        """The plan with the chosen streams (by default the first `most`), and all lists, True for those in the plan.
        Parents of chosen streams are in the plan too."""
        names = {operation.name for operation in self.lists}
        if unknown := sorted(set(chosen) - names):
            raise ConfigError(
                f"the document has no list called {unknown[0]}", hint=f"It has {', '.join(sorted(names))[:500]}."
            )
        info = mapping(self.document.root.get("info"))
        base, inputs, notes = self.document.base()
        self.notes += notes
        plan = ManifestPlan(str(info.get("title") or "API").strip()[:200] or "API", base)
        for wanted in inputs:
            plan.add_input(wanted)
        schemes = openapi_security.schemes_of(self.document)
        default = self.document.root.get("security")
        if default is None:
            default = next((op.values["security"] for op in self.lists if op.values.get("security")), None)
        scheme, others = openapi_security.choose(schemes, default)
        self._authenticate(plan, scheme, others)
        wanted_lists = self._chosen(chosen, most)
        for operation in self.lists:
            if operation.name in wanted_lists:
                plan.streams.append(self._stream(plan, operation, wanted_lists))
        for since, streams in self.since.items():
            more = f" and {len(streams) - 3} more" if len(streams) > 3 else ""
            self.notes.append(
                f"With {since} the API may return only what changed ({', '.join(streams[:3])}{more}): Suggest "
                "settings, beside the test of a stream, tries it."
            )
        title = f"{plan.name} {info.get('version') or ''}".strip()
        plan.heading = [f"{' '.join(title.split())}, from its OpenAPI document."]
        if len(wanted_lists) < len(self.lists):
            self.notes.append(
                f"The document has {len(self.lists)} lists; {len(wanted_lists)} of them are in the manifest. "
                "To have others, begin again from the document."
            )
        if self.document.external:
            self.notes.append(
                f"{self.document.external} references lead to other documents, which are not fetched; what they "
                "describe is missing."
            )
        return plan, [(operation, operation.name in wanted_lists) for operation in self.lists]

    def _authenticate(self, plan: ManifestPlan, scheme: openapi_security.Scheme | None, others: list[str]) -> None:
        if scheme is None:
            self.notes.append("The document names no authentication; add one if the API needs it.")
            return
        plan.authenticator = scheme.authenticator
        for wanted in scheme.inputs:
            plan.add_input(wanted)
        if others:
            self.notes.append(f"The manifest signs in by {scheme.title}; the document also names {', '.join(others)}.")

    def _chosen(self, chosen: Collection[str], most: int) -> set[str]:
        wanted = set(chosen)
        if not wanted:
            plain = [operation for operation in self.lists if not operation.variables]
            wanted = set(list(dict.fromkeys(op.name for op in [*plain, *self.lists]))[:most])
        for operation in self.lists:  # parents of parents, too
            current: ListOperation | None = operation if operation.name in wanted else None
            for _ in range(10):
                current = self._parent_of(current) if current is not None else None
                if current is None:
                    break
                wanted.add(current.name)
        return wanted

    # The lists of the document.

    def _list_operations(self) -> list[ListOperation]:
        operations: list[ListOperation] = []
        for path, node in list(mapping(self.document.root.get("paths")).items())[:MOST_OPERATIONS]:
            item = self.document.resolved(node)
            values = mapping(item.get("get"))
            if not values or not isinstance(path, str) or values.get("deprecated") is True:
                continue
            parameters = self._parameters(item, values)
            answer, headers = self._answer(values)
            where = self._records_in(answer, path)
            if where is None:
                continue
            records, schema = where
            operation = ListOperation(path, values, parameters, records, schema, answer, headers)
            operation.variables = re.findall(r"\{([^{}]+)\}", path)
            if path.rstrip("/").endswith("}") and records:
                continue  # one thing by its id, whose answer has a list in it
            operations.append(operation)
        return operations

    def _parameters(self, item: Mapping[str, Any], values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        by_name: dict[tuple[str, str], Mapping[str, Any]] = {}
        for node in [*sequence(item.get("parameters")), *sequence(values.get("parameters"))][:500]:
            parameter = self.document.resolved(node)
            if isinstance(parameter.get("name"), str):
                by_name[str(parameter["name"]), str(parameter.get("in"))] = parameter
        return list(by_name.values())

    def _answer(self, values: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The schema of the successful response, and its headers."""
        responses = mapping(values.get("responses"))
        by_status = {str(status): response for status, response in responses.items()}
        status = next((name for name in ("200", "2XX", "2xx", "201", "default") if name in by_status), None)
        if status is None:
            return {}, {}
        response = self.document.resolved(by_status[status])
        headers = mapping(response.get("headers"))
        if self.document.version == 2:
            return self.document.merged(response.get("schema")), headers
        content = mapping(response.get("content"))
        kinds = sorted(content, key=lambda kind: "json" not in str(kind))
        media = content[kinds[0]] if kinds else {}
        return self.document.merged(mapping(media).get("schema")), headers

    def _records_in(self, answer: Mapping[str, Any], path: str) -> tuple[list[str], Any] | None:
        """The path of the list in an answer with this schema, and the schema of its items."""
        document = self.document
        if document.type_of(answer) == "array":
            return [], answer.get("items")
        word = snake(path.rstrip("/").rpartition("/")[2])
        candidates: list[tuple[tuple[Any, ...], list[str], Any]] = []

        def look(schema: Mapping[str, Any], place: list[str]) -> None:
            for name, node in list(mapping(schema.get("properties")).items())[:500]:
                inner = document.merged(node)
                kind = document.type_of(inner)
                if kind == "array":
                    items = document.merged(inner.get("items"))
                    plain = document.type_of(items) not in ("object", "")
                    own = snake(str(name))
                    known = own in (word, singular(word)) or own in LIST_NAMES
                    if not plain and known:
                        candidates.append(
                            ((own != word, len(place), own not in LIST_NAMES), [*place, str(name)], inner.get("items"))
                        )
                    elif not plain:
                        candidates.append(((True, len(place) + 10, True), [*place, str(name)], inner.get("items")))
                elif (
                    kind == "object"
                    and len(place) < 2
                    and (snake(str(name)) in LIST_NAMES or str(name).startswith("_"))
                ):
                    look(inner, [*place, str(name)])

        look(answer, [])
        if not candidates:
            return None
        candidates.sort(key=lambda entry: entry[0])
        rank, place, items = candidates[0]
        # Several lists, none of which is named as one: more likely one thing with lists in it.
        if rank[1] >= 10 and (len(candidates) > 1 or "id" in mapping(answer.get("properties"))):
            return None
        return place, items

    def _name_lists(self) -> None:
        taken: set[str] = set()
        for operation in sorted(self.lists, key=lambda operation: len(operation.variables)):
            words = [snake(part) for part in operation.path.split("/") if part and not part.startswith("{")]
            words = [word for word in words if word and not re.fullmatch(r"v?\d+(?:_\d+)*|api|rest", word)] or [
                "records"
            ]
            name = words[-1]
            for depth in range(2, len(words) + 1):
                if name not in taken:
                    break
                name = "_".join([*(singular(word) for word in words[-depth:-1]), words[-1]])
            operation.name = unique(name[:80], taken)
            taken.add(operation.name)

    # A list as a stream.

    def _stream(self, plan: ManifestPlan, operation: ListOperation, chosen: Collection[str]) -> StreamPlan:
        keys = self._keys(operation)
        stream = StreamPlan(operation.name, "", summary=operation.summary, records=operation.records, primary_key=keys)
        item = self.document.merged(operation.item)
        if self.document.type_of(item) in ("object", ""):
            stream.schema = self.document.json_schema(operation.item, frozenset(keys))
        self._add_path(plan, stream, operation, chosen)
        query = {
            str(parameter["name"]): self._schema_of(parameter)
            for parameter in operation.parameters
            if parameter.get("in") == "query"
        }
        stream.paginator = self._paginator(operation, query)
        paged = paging_names(stream.paginator)
        for parameter in operation.parameters:
            name, place = str(parameter["name"]), parameter.get("in")
            if not parameter.get("required") or place not in ("query", "header") or name in paged:
                continue
            if place == "header" and name.lower() in IGNORED_HEADERS:
                continue
            if self._is_credential(plan, name):
                continue
            value = self._value_of(plan, stream, parameter)
            (stream.parameters if place == "query" else stream.headers)[name] = value
        since = next((name for name in query if SINCE.match(snake(name))), None)
        if since:
            self.since.setdefault(since, []).append(stream.name)
        if not keys:
            self.notes.append(f"{stream.name}: no field identifies a record by its name; choose the primary key.")
        return stream

    def _is_credential(self, plan: ManifestPlan, name: str) -> bool:
        option = mapping(mapping(plan.authenticator).get("inject_into"))
        return str(option.get("field_name", "")).lower() == name.lower()

    def _keys(self, operation: ListOperation) -> list[str]:
        properties = mapping(self.document.merged(operation.item).get("properties"))
        word = singular(snake(operation.path.rstrip("/").rpartition("/")[2]))
        by_name = {snake(str(name)): str(name) for name in reversed(list(properties))}
        if "id" in properties:
            return ["id"]
        for candidate in ("uuid", f"{word}_id", "gid", "guid", "key", "slug", "code"):
            if candidate in by_name:
                return [by_name[candidate]]
        return []

    def _parent_of(self, operation: ListOperation) -> ListOperation | None:
        """The list whose items the last variable of the path stands for."""
        if not operation.variables:
            return None
        prefix = operation.path.rpartition("/{" + operation.variables[-1] + "}")[0].rstrip("/")
        parent = self._by_collection.get(prefix)
        return parent if parent is not operation else None

    def _add_path(
        self, plan: ManifestPlan, stream: StreamPlan, operation: ListOperation, chosen: Collection[str]
    ) -> None:
        """The path with the values of its variables: of the parent, of its parents, or of the configuration."""
        values: dict[str, str] = {}
        current: ListOperation | None = operation
        above = "stream_partition"
        while current is not None and current.variables:
            parent = self._parent_of(current)
            variable = current.variables[-1]
            if parent is None or parent.name not in chosen or variable in values:
                break
            partition = snake(variable) or "parent"
            if current is operation:
                stream.parents = [Parent(parent.name, self._parent_key(parent, variable), partition)]
            values[variable] = "{{ " + above + "['" + partition + "'] }}"
            above += "['parent_slice']"
            current = parent
        for variable in operation.variables:
            if variable not in values:
                declared = next(
                    (p for p in operation.parameters if p["name"] == variable and p.get("in") == "path"), {}
                )
                values[variable] = self._input_for(plan, stream, {"name": variable, **declared})
        pieces: list[str] = []
        end = 0
        for match in re.finditer(r"\{([^{}]+)\}", operation.path):
            pieces += [literal_text(operation.path[end : match.start()]), values[match[1]]]
            end = match.end()
        stream.path = "".join([*pieces, literal_text(operation.path[end:])]).lstrip("/")

    def _parent_key(self, parent: ListOperation, variable: str) -> str:
        properties = mapping(self.document.merged(parent.item).get("properties"))
        by_name = {snake(str(name)): str(name) for name in reversed(list(properties))}
        own = snake(variable)
        collection = singular(snake(parent.path.rstrip("/").rpartition("/")[2]))
        inner = own.removeprefix(f"{collection}_")
        for candidate in (inner, own, "id"):
            if candidate in by_name:
                return by_name[candidate]
        return (self._keys(parent) or ["id"])[0]

    def _schema_of(self, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.document.version == 2:
            return parameter
        return self.document.merged(parameter.get("schema"))

    def _value_of(self, plan: ManifestPlan, stream: StreamPlan, parameter: Mapping[str, Any]) -> str:
        """The value of a required parameter: its default, its only choice, or an input."""
        schema = self._schema_of(parameter)
        choices = sequence(schema.get("enum"))
        default = schema.get("default")
        value = default if default is not None else choices[0] if len(choices) == 1 else None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return literal_text(str(value))
        return self._input_for(plan, stream, parameter)

    def _input_for(self, plan: ManifestPlan, stream: StreamPlan, parameter: Mapping[str, Any]) -> str:
        schema = self._schema_of(parameter)
        name = snake(str(parameter["name"])) or "value"
        known = plan.inputs.get(name)
        if known is None or not known.of_streams:
            choices = [str(item) for item in sequence(schema.get("enum"))][:100]
            description = " ".join(str(parameter.get("description") or "").split())[:300]
            wanted = Input(name, title_of(name), description=description, choices=choices, of_streams=True)
            name = plan.add_input(wanted)
        if name not in stream.inputs:
            stream.inputs.append(name)
        return config_template(name)

    def _paginator(self, operation: ListOperation, query: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
        names = list(query)
        size_name = paging.parameter(names, paging.SIZE_NAMES)
        declared = next((item for item in operation.parameters if item["name"] == size_name), {})
        size = page_size(declared, query.get(size_name, {})) if size_name else None
        sized: dict[str, Any] = {"size_name": size_name, "size": size}
        cursor_name = paging.parameter(names, paging.CURSOR_NAMES)
        page_name = paging.parameter(names, paging.PAGE_NAMES)
        offset_name = paging.parameter(names, paging.OFFSET_NAMES)
        if any(str(name).lower() == "link" for name in operation.headers) and (page_name or cursor_name or size_name):
            paginator = paging.by_link_header()
            if size_name and size:
                paginator["page_size_option"] = paging.option(size_name)
                paginator["pagination_strategy"]["page_size"] = size
            return paginator
        cursor, address, more = self._next_fields(operation)
        if cursor_name and cursor:
            return paging.by_cursor(cursor_name, cursor, **sized)
        if cursor_name and paging.plain_name(cursor_name) == "starting_after":
            return paging.by_last_record(cursor_name, (self._keys(operation) or ["id"])[0], more=more, **sized)
        if address:
            return paging.by_address(address)
        if page_name:
            first = query[page_name].get("default", query[page_name].get("minimum", 1))
            start = first if isinstance(first, int) and first in (0, 1) else 1
            return paging.by_page(page_name, start, **sized)
        if offset_name and (size_name or offset_name.lower() in ("offset", "skip")):
            return paging.by_offset(offset_name, **sized)
        if cursor_name:
            self.notes.append(
                f"{operation.name}: it has the parameter {cursor_name}, and its response names no field with the next "
                "value; propose its paging with a test read."
            )
        return None

    def _next_fields(self, operation: ListOperation) -> tuple[list[str], list[str], list[str] | None]:
        """The paths of the next cursor, of the next address, and of the flag for more pages in the response."""
        cursors: list[tuple[int, list[str]]] = []
        addresses: list[list[str]] = []
        more: list[str] | None = None

        def look(schema: Mapping[str, Any], place: list[str]) -> None:
            nonlocal more
            for name, node in list(mapping(schema.get("properties")).items())[:500]:
                inner, path, plain = self.document.merged(node), [*place, str(name)], paging.plain_name(str(name))
                kind = self.document.type_of(inner)
                if kind == "object" and len(place) < 3:
                    look(inner, path)
                elif kind == "boolean" and plain in paging.MORE_NAMES:
                    more = more or path
                elif kind in ("string", "integer", "") and plain in paging.NEXT_CURSORS:
                    uri = inner.get("format") in ("uri", "url", "uri-reference") or "url" in plain or "link" in place
                    if uri or (plain in ("next", "next_page") and any("link" in part.lower() for part in place)):
                        addresses.append(path)
                    else:
                        cursors.append((paging.NEXT_CURSORS.index(plain), path))
                elif str(name).lower() in paging.NEXT_ADDRESSES and any("next" in part.lower() for part in path):
                    addresses.append(path)

        if self.document.type_of(operation.answer) != "array":
            look(operation.answer, [])
        cursors.sort(key=lambda entry: entry[0])
        return (cursors[0][1] if cursors else []), (addresses[0] if addresses else []), more


def page_size(parameter: Mapping[str, Any], schema: Mapping[str, Any]) -> int | None:
    """The size of a page: the largest that is documented, within reason, or the default; None where neither is.

    A size that the API does not grant would end a read with the first page, which is shorter.
    """
    most, default = schema.get("maximum"), schema.get("default")
    documented = LARGEST.search(" ".join(str(parameter.get("description") or "")[:2000].split()))
    if most is None and documented:
        most = int(documented[1] or documented[2])
    if isinstance(most, int) and not isinstance(most, bool) and most > 0:
        return min(most, LARGEST_PAGE)
    if isinstance(default, int) and not isinstance(default, bool) and default > 0:
        return min(default, LARGEST_PAGE)
    return None


def paging_names(paginator: Mapping[str, Any] | None) -> set[str]:
    """The parameters that a paginator fills."""
    options = (mapping(mapping(paginator).get(name)) for name in ("page_token_option", "page_size_option"))
    return {str(option["field_name"]) for option in options if "field_name" in option}
