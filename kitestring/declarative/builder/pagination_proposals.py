"""Kinds of pagination tried on the real API: one is proven when page 2 came and brought other records.

What a request sends is looked at first: its parameters, or the fields of its JSON body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from kitestring.declarative.builder import paging
from kitestring.declarative.builder.list_answer import (
    Path,
    end_flag,
    key_of,
    more_flag,
    next_address,
    next_cursors,
    scalars_in,
)
from kitestring.declarative.builder.probe import ProbedPage, ProbedRead, Prober, other_records
from kitestring.declarative.builder.stream_proposal import Draft, Edit, Proposal, count_of
from kitestring.declarative.paginator import links

PAGINATOR = ("retriever", "paginator")
PARAMETERS = ("retriever", "requester", "request_parameters")
BODY = ("retriever", "requester", "request_body_json")
TRIED_PAGES = ("page", "page_number", "page[number]", "pageNumber", "p")
TRIED_OFFSETS = ("offset", "skip", "startAt", "start")
TRIED_SIZES = ("per_page", "limit", "page_size", "pageSize", "page[size]", "maxResults", "count")
CURSOR_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "next_page_token": ("page_token", "pageToken", "next_page_token"),
    "nextpagetoken": ("pageToken", "page_token", "nextPageToken"),
    "next_token": ("next_token", "pagination_token", "nextToken"),
    "nexttoken": ("nextToken", "next_token"),
    "after": ("after", "page[after]", "starting_after"),
    "after_cursor": ("page[after]", "after", "cursor"),
    "end_cursor": ("after", "cursor"),
    "endcursor": ("after", "cursor"),
    "offset": ("offset",),
    "next_offset": ("offset", "next_offset"),
    "next_page": ("page", "page_token"),
    "marker": ("marker",),
    "next_marker": ("marker",),
    "scroll_id": ("scroll_id",),
    "bookmark": ("bookmark",),
    "continuation_token": ("continuation_token", "continuationToken"),
    "continuationtoken": ("continuationToken",),
}
"""The parameters that usually take the value of a field with the next cursor."""
USUAL_CURSORS = ("cursor", "next_cursor", "page_token", "after", "page[cursor]", "page[after]", "start_cursor")
MOST_TRIES = 14
SIZE = 100


@dataclass(slots=True)
class Candidate:
    """A paginator to try. `first`: it sends its token with the first request too. `in_body`: in the JSON body."""

    title: str
    paginator: dict[str, Any]
    reason: str
    parameter: str = ""
    first: bool = False
    in_body: bool = False

    def sends(self) -> Iterator[tuple[str, ...]]:
        """Where it sends something, below `retriever` and `requester`."""
        for name in ("page_token_option", "page_size_option"):
            option = self.paginator.get(name) or {}
            if option.get("inject_into") == "body_json":
                yield ("request_body_json", *option.get("field_path", [option.get("field_name")]))
            elif "field_name" in option:
                yield ("request_parameters", str(option["field_name"]))


def propose_pagination(draft: Draft, prober: Prober, notes: list[str]) -> list[Proposal]:
    """The kinds of pagination that the API was seen to have, the best first; a likely one where none is proven."""
    plain = prober.read(draft.changed((PAGINATOR, None)))
    if not plain.pages or not plain.pages[-1].records:
        notes.append(f"Pagination: the first page has no records. {plain.error}".strip())
        return []
    page = plain.pages[-1]
    current = draft.get(*PAGINATOR)
    written = described(current)
    if written and brings_more(prober.read(draft.changed(), pages=2, slices=3)):
        confirmed(notes, written)
        larger = larger_pages(draft, prober, current, written, len(page.records))
        return [larger] if larger is not None and larger.value != current else []
    for tries, candidate in enumerate(candidates(draft, page)):
        if tries == MOST_TRIES:
            break
        proven = prove(draft, prober, candidate, page)
        if proven is None:
            continue
        proposals = [proven]
        if candidate.first and (larger := with_size(draft, prober, candidate, len(page.records))) is not None:
            proposals.insert(0, larger)
        others = [item for item in proposals if item.value != current]
        if not others:
            confirmed(notes, candidate.title)
        return others
    return likely(draft, page, notes, written)


def described(paginator: Any) -> str:
    """The pagination of a manifest in words; empty where there is none."""
    strategy = paginator.get("pagination_strategy") if isinstance(paginator, Mapping) else None
    if not isinstance(strategy, Mapping):
        return ""
    option = paginator.get("page_token_option") or {}
    if option.get("type") == "RequestPath":
        return "the address of the next page"
    name = ".".join(str(part) for part in option.get("field_path") or [option.get("field_name", "")])
    place = f" in {name}" + (" of the body" if option.get("inject_into") == "body_json" else "") if name else ""
    words = {"PageIncrement": "number", "OffsetIncrement": "offset", "CursorPagination": "cursor"}
    return f"{words.get(str(strategy.get('type')), 'a way of its own')}{place}"


def brings_more(read: ProbedRead) -> bool:
    """Whether a second page of a slice came with other records."""
    pages = [page for page in read.pages if page.status < 400]
    pairs = [(page, following) for page, following in pairwise(pages) if page.slice == following.slice]
    return any(other_records(page.records, following.records) for page, following in pairs)


def larger_pages(draft: Draft, prober: Prober, current: Any, title: str, usual: int) -> Proposal | None:
    """The pagination that the manifest has, with the size of a page, where it counts pages of an unknown size."""
    strategy, option = current.get("pagination_strategy"), current.get("page_token_option") or {}
    if strategy.get("type") not in ("PageIncrement", "OffsetIncrement") or strategy.get("page_size"):
        return None
    in_body = option.get("inject_into") == "body_json"
    if not in_body and option.get("inject_into") != "request_parameter":
        return None
    return with_size(draft, prober, Candidate(title, current, "", first=True, in_body=in_body), usual)


def prove(draft: Draft, prober: Prober, candidate: Candidate, page: ProbedPage) -> Proposal | None:
    """The proposal of a kind that brings a second page with other records. `page`: the first one without any paging."""
    read = prober.read(with_paginator(draft, candidate), pages=2)
    pages = [answer for answer in read.pages if answer.status < 400]
    if len(pages) < 2 or not other_records(pages[0].records, pages[1].records):
        return None
    if candidate.first and other_records(pages[0].records, page.records):
        return None  # it began behind the first page
    evidence = (
        f"{candidate.reason} Page 2 came with {count_of(pages[1].records)}, none of which is on page 1 "
        f"({count_of(pages[0].records)})."
    )
    return proposal(draft, candidate, evidence.strip(), "proven")


def confirmed(notes: list[str], title: str) -> None:
    notes.append(f"Pagination: it is set already, by {title}, and page 2 came with other records.")


def proposal(draft: Draft, candidate: Candidate, evidence: str, confidence: Any) -> Proposal:
    also = [Edit(draft.place("retriever", "requester", *path), None) for path in replaced(draft, candidate)]
    title = f"Pages by {candidate.title}"
    return Proposal("pagination", title, evidence, draft.place(*PAGINATOR), candidate.paginator, confidence, also)


def with_paginator(draft: Draft, candidate: Candidate) -> dict[str, Any]:
    taken = [(("retriever", "requester", *path), None) for path in replaced(draft, candidate)]
    return draft.changed((PAGINATOR, candidate.paginator), *taken)


def replaced(draft: Draft, candidate: Candidate) -> list[tuple[str, ...]]:
    """What leaves the request because the paginator sends it; an object of the body that this empties leaves too."""
    paths = [path for path in candidate.sends() if draft.get("retriever", "requester", *path) is not None]
    for parent in {path[:-1] for path in paths if len(path) > 2}:
        inside = draft.get("retriever", "requester", *parent)
        if all((*parent, str(name)) in paths for name in inside):
            paths = [*(path for path in paths if path[:-1] != parent), parent]
    return paths


def candidates(draft: Draft, page: ProbedPage) -> Iterator[Candidate]:
    """The kinds to try: what the answer names first, then usual parameters."""
    answer, origin = page.answer, urlsplit(page.url).netloc
    parameters = draft.get(*PARAMETERS)
    sent = [str(name) for name in parameters] if isinstance(parameters, Mapping) else []
    if "next" in links(header(page, "link")):
        yield Candidate("the Link header", paging.by_link_header(), "The Link header names the next page.")
    if isinstance(answer, Mapping):
        address = next_address(answer)
        if address is not None and urlsplit(address[1]).netloc in ("", origin):
            path = ".".join(address[0])
            yield Candidate(
                f"the address at {path}", paging.by_address(address[0]), f"{path} has the address of the next page."
            )
        yield from cursors(answer, sent)
        more = more_flag(answer)
        key = key_of(page.records, draft.stream)
        if more is not None and key is not None:
            name = paging.parameter(sent, ("starting_after", "after", "after_id")) or "starting_after"
            yield Candidate(
                f"the last {key} in {name}",
                paging.by_last_record(name, key, more=more),
                f"{'.'.join(more)} says whether there is more.",
                name,
            )
    body = draft.get(*BODY)
    if isinstance(body, Mapping):
        yield from in_body(body, answer)
    yield from counted(answer, sent)


def in_body(body: Mapping[str, Any], answer: Any) -> Iterator[Candidate]:
    """Pages by a field of the JSON body: by one that is there, or by a usual one at its top."""
    fields = {".".join(path): path for path in leaves(body)}
    if isinstance(answer, Mapping):
        own = paging.parameter(fields, paging.CURSOR_NAMES)
        more, end = more_flag(answer), end_flag(answer)
        for path, _ in next_cursors(answer)[:3]:
            usual = CURSOR_PARAMETERS.get(paging.plain_name(path[-1]), ())
            for name in list(dict.fromkeys([*([own] if own else []), *usual, *USUAL_CURSORS[:2], path[-1]]))[:4]:
                place = ".".join(path)
                yield Candidate(
                    f"the cursor at {place} in {name} of the body",
                    moved_into_body(paging.by_cursor(name, path, more=more, end=end), fields.get(name, [name])),
                    f"{place} has a value for the next page.",
                    name,
                    in_body=True,
                )
    by_page, by_offset = paging.parameter(fields, paging.PAGE_NAMES), paging.parameter(fields, paging.OFFSET_NAMES)
    pages = [by_page] if by_page else [] if by_offset else ["page"]
    offsets = [by_offset] if by_offset else [] if by_page else ["offset"]
    kinds = [
        *(
            (name, f"number in {name} of the body, from {start}", paging.by_page(name, start))
            for name in pages
            for start in (1, 0)
        ),
        *((name, f"offset in {name} of the body", paging.by_offset(name)) for name in offsets),
    ]
    for name, title, paginator in kinds:
        reason = f"The field {name} of the body changes the page."
        yield Candidate(title, moved_into_body(paginator, fields.get(name, [name])), reason, name, True, True)


def leaves(values: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The paths of the values in objects in objects."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*parents, str(name)))
        else:
            yield [*parents, str(name)]


def moved_into_body(paginator: dict[str, Any], path: list[str]) -> dict[str, Any]:
    return {**paginator, "page_token_option": paging.body_option(path)}


def cursors(answer: Mapping[str, Any], sent: list[str]) -> Iterator[Candidate]:
    more, end = more_flag(answer), end_flag(answer)
    for path, _ in next_cursors(answer)[:3]:
        field = paging.plain_name(path[-1])
        own = paging.parameter(sent, paging.CURSOR_NAMES)
        names = dict.fromkeys([*([own] if own else []), *CURSOR_PARAMETERS.get(field, ()), *USUAL_CURSORS, path[-1]])
        for name in list(names)[:6]:
            place = ".".join(path)
            yield Candidate(
                f"the cursor at {place} in {name}",
                paging.by_cursor(name, path, more=more, end=end),
                f"{place} has a value for the next page.",
                name,
            )


def counted(answer: Any, sent: list[str]) -> Iterator[Candidate]:
    """Pages by number and by offset. Fields of the answer with such a name put their kind first."""
    fields = (
        {paging.plain_name(path[-1]) for path, _ in scalars_in(answer) if path}
        if isinstance(answer, Mapping)
        else set()
    )
    size_name = paging.parameter(sent, paging.SIZE_NAMES)
    own_page, own_offset = paging.parameter(sent, paging.PAGE_NAMES), paging.parameter(sent, paging.OFFSET_NAMES)
    pages = list(dict.fromkeys([*([own_page] if own_page else []), *TRIED_PAGES]))
    offsets = list(dict.fromkeys([*([own_offset] if own_offset else []), *TRIED_OFFSETS]))
    by_page = [
        Candidate(f"number in {name}, from {start}", paging.by_page(name, start), "", name, True)
        for name in pages
        for start in (1, 0)
    ]
    by_offset = [Candidate(f"offset in {name}", paging.by_offset(name), "", name, True) for name in offsets]
    offset_first = bool(own_offset) or bool(fields & {"offset", "skip", "startat", "start_at"} - {"page"})
    ordered = (
        [*by_offset, *by_page]
        if offset_first and not own_page
        else [*by_page[:2], by_offset[0], *by_page[2:], *by_offset[1:]]
    )
    for candidate in ordered:
        candidate.reason = f"The parameter {candidate.parameter} changes the page." + (
            f" {size_name} stays a parameter of the request." if size_name else ""
        )
        yield candidate


def with_size(draft: Draft, prober: Prober, candidate: Candidate, usual: int) -> Proposal | None:
    """The same kind with pages of `SIZE` records, or the most that the API gives, where a parameter for the size is
    proven: it is asked for fewer records than usual, and then for full pages. With the size, the pages end with the
    first that is not full, without a request for an empty one."""
    if usual < 2:
        return None
    sent = draft.get(*(BODY if candidate.in_body else PARAMETERS))
    fields = {".".join(path): path for path in leaves(sent)} if isinstance(sent, Mapping) else {}
    own = paging.parameter(fields, paging.SIZE_NAMES)
    if usual >= SIZE and not own:
        return None
    for name in dict.fromkeys([*([own] if own else []), *(() if candidate.in_body and own else TRIED_SIZES[:4])]):
        option = paging.body_option(fields.get(name, [name])) if candidate.in_body else paging.option(name)
        few = prober.read(with_paginator(draft, sized(candidate, option, usual - 1)))
        if not few.pages or len(few.pages[-1].records) != usual - 1:
            continue
        wanted = max(SIZE, usual)
        full = prober.read(with_paginator(draft, sized(candidate, option, wanted)), pages=2)
        pages = [page for page in full.pages if page.status < 400]
        count = len(pages[0].records) if pages else 0
        if count == SIZE:
            return with_this_size(
                draft, candidate, option, count, f"{name}={count} brought {count} records in one page."
            )
        # Fewer: all that there is, or the limit of the API. A second page behind one of this size tells.
        for size in dict.fromkeys([count, *([usual] if own else [])]):
            if usual <= size <= wanted:
                read = prober.read(with_paginator(draft, sized(candidate, option, size)), pages=2)
                if brings_more(read) and len(read.pages[0].records) == size:
                    reason = f"Page 2 came with other records, behind {size} on page 1 at {name}={size}."
                    return with_this_size(draft, candidate, option, size, reason)
        return None
    return None


def with_this_size(draft: Draft, candidate: Candidate, option: dict[str, Any], size: int, reason: str) -> Proposal:
    better = sized(candidate, option, size)
    better.title = f"{candidate.title}, {size} records each"
    return proposal(draft, better, f"{candidate.reason} {reason}".strip(), "proven")


def sized(candidate: Candidate, option: dict[str, Any], size: int) -> Candidate:
    strategy = {**candidate.paginator["pagination_strategy"], "page_size": size}
    paginator = {**candidate.paginator, "page_size_option": option, "pagination_strategy": strategy}
    return replace(candidate, paginator=paginator)


def likely(draft: Draft, page: ProbedPage, notes: list[str], written: str) -> list[Proposal]:
    """The pagination that the names suggest, if no second page came. `written`: the one that is set already."""
    count = count_of(page.records)
    if written:
        notes.append(
            f"Pagination: it is set already, by {written}. It brought no second page with other records, and no usual "
            f"kind did. The first page has {count}; these may be all."
        )
        return []
    parameters = draft.get(*PARAMETERS)
    sent = [str(name) for name in parameters] if isinstance(parameters, Mapping) else []
    names: list[Path] = [
        path for path, _ in scalars_in(page.answer) if path and paging.plain_name(path[-1]) in paging.NEXT_CURSORS[:18]
    ]
    name = paging.parameter(sent, (*paging.PAGE_NAMES, *paging.OFFSET_NAMES, *paging.CURSOR_NAMES))
    if names and isinstance(page.answer, Mapping):
        field = paging.plain_name(names[0][-1])
        wanted = paging.parameter(sent, paging.CURSOR_NAMES) or CURSOR_PARAMETERS.get(field, ("cursor",))[0]
        place = ".".join(names[0])
        candidate = Candidate(f"the cursor at {place} in {wanted}", paging.by_cursor(wanted, names[0]), "", wanted)
        evidence = f"The answer has the field {place}; no second page came to try it on: the answer has {count}."
        return [proposal(draft, candidate, evidence, "likely")]
    tried = f" ({name} was tried)" if name else ""
    notes.append(
        f"Pagination: the first page has {count}, and no usual kind brought a second page with others. Either "
        f"these are all records, or the parameter has an unusual name{tried}."
    )
    return []


def header(page: ProbedPage, name: str) -> str:
    return next((value for key, value in page.headers.items() if key.lower() == name), "")
