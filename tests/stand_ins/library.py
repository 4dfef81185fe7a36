"""A made-up API of libraries and its OpenAPI document of twenty operations: all kinds of paging, parents, a key."""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

BOOKS = [
    {"id": n, "title": f"Book {n}", "author_id": n % 7 + 1, "updated_at": f"2024-01-{n % 28 + 1:02}T08:00:00Z"}
    for n in range(1, 61)
]
AUTHORS = [{"id": n, "name": f"Author {n}", "born": f"19{n + 10:02}-05-01"} for n in range(1, 8)]
LOANS = [{"id": n, "book_id": n, "member_id": n % 5 + 1, "status": "open" if n % 3 else "closed"} for n in range(1, 46)]
MEMBERS = [{"id": f"mem_{n}", "email": f"m{n}@example.com", "cards": [n, n + 1]} for n in range(1, 6)]
BRANCHES = [{"code": f"b{n}", "city": f"City {n}", "place": {"lat": 1.5 * n, "lon": None}} for n in range(1, 6)]


class LibraryStandIn(PagedApi):
    """`key` opens the API, in the header X-Library-Key."""

    name: ClassVar[str] = "library"
    key: ClassVar[str] = "library-key-4711"
    refusals: ClassVar[dict[int, str]] = {401: "a valid X-Library-Key is needed"}
    reports_limits: ClassVar[bool] = False

    def admits(self, call: Call) -> bool:
        return call.path in ("/openapi.json", "/docs") or call.headers.get("x-library-key") == self.key

    @route("GET", "/openapi.json")
    def document(self, call: Call) -> Any:
        return openapi(self.url)

    @route("GET", "/v1/books")
    def books(self, call: Call) -> Any:
        number, size = int(call.param("page", "1")), min(int(call.param("per_page", "20")), 50)
        books = [book for book in BOOKS if str(book["updated_at"]) >= call.param("updated_since")]
        return {"data": books[(number - 1) * size : number * size], "page": number, "total": len(books)}

    @route("GET", "/v1/books/{book_id}/copies")
    def copies(self, call: Call, book_id: str) -> Any:
        rows = [{"barcode": f"{book_id}-{n}", "uuid": f"copy-{book_id}-{n}"} for n in range(3)]
        begin = int(call.param("page", "0"))
        size = int(call.param("limit", "2"))
        following = f'<{self.url}{call.path}?page={begin + size}&limit={size}>; rel="next"'
        return Answer(200, rows[begin : begin + size], {"Link": following} if begin + size < len(rows) else {})

    @route("GET", "/v1/authors")
    def authors(self, call: Call) -> Any:
        begin, size = int(call.param("after", "0")), int(call.param("limit", "3"))
        following = begin + size if begin + size < len(AUTHORS) else None
        return {"authors": AUTHORS[begin : begin + size], "meta": {"next_cursor": following and str(following)}}

    @route("GET", "/v1/authors/{author_id}/books")
    def books_of(self, call: Call, author_id: str) -> Any:
        return {"data": [book for book in BOOKS if str(book["author_id"]) == author_id]}

    @route("GET", "/v1/loans")
    def loans(self, call: Call) -> Any:
        if call.param("status") not in ("open", "closed"):
            return self.refuse(422, "status is open or closed")
        rows = [loan for loan in LOANS if loan["status"] == call.param("status")]
        begin, size = int(call.param("offset", "0")), int(call.param("limit", "10"))
        return {"items": rows[begin : begin + size]}

    @route("GET", "/v1/members")
    def members(self, call: Call) -> Any:
        ids = [member["id"] for member in MEMBERS]
        begin = ids.index(call.param("starting_after")) + 1 if call.param("starting_after") else 0
        size = int(call.param("limit", "2"))
        return {"object": "list", "data": MEMBERS[begin : begin + size], "has_more": begin + size < len(MEMBERS)}

    @route("GET", "/v1/members/{member_id}/cards")
    def cards(self, call: Call, member_id: str) -> Any:
        return {"data": [{"id": n} for n in range(2)]}

    @route("GET", "/v1/members/{member_id}/cards/{card_id}/stamps")
    def stamps(self, call: Call, member_id: str, card_id: str) -> Any:
        return {"data": [{"id": f"{member_id}/{card_id}"}]}

    @route("GET", "/v1/branches")
    def branches(self, call: Call) -> Any:
        begin = int(call.param("from_row", "0"))
        following = f"{self.url}/v1/branches?from_row={begin + 2}" if begin + 2 < len(BRANCHES) else None
        return {"branches": BRANCHES[begin : begin + 2], "links": {"next": following}}

    @route("GET", "/v1/branches/{branch_code}/shelves")
    def shelves(self, call: Call, branch_code: str) -> Any:
        return [{"id": f"{branch_code}-{n}"} for n in range(2)]

    @route("GET", "/v1/regions/{region}/events")
    def events(self, call: Call, region: str) -> Any:
        return {"events": [{"id": n, "region": region} for n in range(4)]}

    @route("GET", "/v1/search")
    def search(self, call: Call) -> Any:
        return {"results": [book for book in BOOKS if call.param("q") in str(book["title"])]}


def parameter(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind}
    schema.update({key: more.pop(key) for key in ("default", "maximum", "enum") if key in more})
    return {"name": name, "in": more.pop("place", "query"), "schema": schema, **more}


def listed(item: str, name: str = "", **beside: Any) -> dict[str, Any]:
    """A response with a list of items."""
    rows = {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"}}
    schema = {"type": "object", "properties": {name: rows, **beside}} if name else rows
    return {"200": {"description": "A list.", "content": {"application/json": {"schema": schema}}}}


def openapi(url: str) -> dict[str, Any]:
    """The document of the API at this address."""
    text, whole = {"type": "string"}, {"type": "integer"}
    book = {"$ref": "#/components/schemas/Book"}
    thing = {"responses": {"200": {"description": "One.", "content": {"application/json": {"schema": book}}}}}
    days = {"type": "array", "items": {"type": "object"}}
    numbers = {"type": "object", "properties": {"id": whole, "by_day": days, "by_month": days}}
    cursor = {"type": "object", "properties": {"next_cursor": {**text, "nullable": True}}}
    copies = listed("Copy")
    copies["200"]["headers"] = {"Link": {"schema": text}}
    member = {"$ref": "#/components/parameters/Member"}
    path: dict[str, Any] = {"place": "path", "required": True}
    limit = parameter("limit", "integer", default=2, maximum=2)
    paths = {
        "/books": {
            "get": {
                "summary": "All books",
                "parameters": [
                    parameter("page", "integer", default=1),
                    parameter("per_page", "integer", maximum=50),
                    parameter("updated_since"),
                ],
                "responses": listed("Book", "data", page=whole, total=whole),
            },
            "post": {"summary": "Add a book", "responses": {"201": {"description": "Added."}}},
        },
        "/books/{book_id}": {
            "parameters": [parameter("book_id", "integer", **path)],
            "get": thing,
            "delete": {"responses": {"204": {"description": "Gone."}}},
        },
        "/books/{book_id}/copies": {
            "get": {
                "parameters": [parameter("book_id", "integer", **path), parameter("page", "integer"), limit],
                "responses": copies,
            }
        },
        "/authors": {
            "get": {
                "parameters": [parameter("after"), parameter("limit", "integer", maximum=3)],
                "responses": listed("Author", "authors", meta=cursor),
            }
        },
        "/authors/{author_id}": {"get": {"parameters": [parameter("author_id", "integer", **path)], **thing}},
        "/authors/{author_id}/books": {
            "get": {"parameters": [parameter("author_id", "integer", **path)], "responses": listed("Book", "data")}
        },
        "/loans": {
            "get": {
                "parameters": [
                    parameter("status", required=True, enum=["open", "closed"], default="open"),
                    parameter("offset", "integer"),
                    parameter("limit", "integer", maximum=10),
                ],
                "responses": listed("Loan", "items"),
            }
        },
        "/loans/{loan_id}": {"get": {"parameters": [parameter("loan_id", "integer", **path)], **thing}},
        "/members": {
            "get": {
                "parameters": [parameter("starting_after"), limit],
                "responses": listed("Member", "data", object=text, has_more={"type": "boolean"}),
            }
        },
        "/members/{member_id}/cards": {"parameters": [member], "get": {"responses": listed("Card", "data")}},
        "/members/{member_id}/cards/{card_id}/stamps": {
            "parameters": [member, parameter("card_id", **path)],
            "get": {"responses": listed("Card", "data")},
        },
        "/branches": {
            "get": {
                "responses": listed(
                    "Branch",
                    "branches",
                    links={"type": "object", "properties": {"next": {**text, "format": "uri", "nullable": True}}},
                )
            }
        },
        "/branches/{branch_code}/shelves": {
            "get": {"parameters": [parameter("branch_code", **path)], "responses": listed("Card")}
        },
        "/regions/{region}/events": {
            "get": {"parameters": [parameter("region", **path)], "responses": listed("Event", "events")}
        },
        "/search": {
            "get": {
                "parameters": [parameter("q", required=True, description="A word of the title.")],
                "responses": listed("Book", "results"),
            }
        },
        "/me": {"get": thing},
        "/stats": {
            "get": {
                "responses": {"200": {"description": "So many.", "content": {"application/json": {"schema": numbers}}}}
            }
        },
        "/old": {"get": {"deprecated": True, "responses": listed("Book", "data")}},
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Library API", "version": "1.4"},
        "servers": [{"url": f"{url}/v1"}],
        "security": [{"Key": []}, {"Account": []}],
        "paths": paths,
        "components": {
            "parameters": {"Member": parameter("member_id", **path)},
            "securitySchemes": {
                "Key": {"type": "apiKey", "in": "header", "name": "X-Library-Key"},
                "Account": {
                    "type": "oauth2",
                    "flows": {
                        "authorizationCode": {"authorizationUrl": f"{url}/a", "tokenUrl": f"{url}/t", "scopes": {}}
                    },
                },
            },
            "schemas": {
                "Timed": {"type": "object", "properties": {"updated_at": {"type": "string", "format": "date-time"}}},
                "Book": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Timed"},
                        {
                            "type": "object",
                            "properties": {
                                "id": whole,
                                "title": text,
                                "author_id": whole,
                                "sequel": {"$ref": "#/components/schemas/Book"},
                            },
                        },
                    ]
                },
                "Author": {
                    "type": "object",
                    "properties": {"id": whole, "name": text, "born": {**text, "format": "date"}},
                },
                "Loan": {
                    "type": "object",
                    "properties": {"id": whole, "book_id": whole, "member_id": whole, "status": text},
                },
                "Member": {
                    "type": "object",
                    "properties": {"id": text, "email": text, "cards": {"type": "array", "items": whole}},
                },
                "Card": {"type": "object", "properties": {"id": text}},
                "Copy": {"type": "object", "properties": {"barcode": text, "uuid": text}},
                "Branch": {
                    "type": "object",
                    "properties": {
                        "code": text,
                        "city": text,
                        "place": {
                            "type": "object",
                            "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}},
                        },
                    },
                },
                "Event": {"type": "object", "properties": {"id": whole, "region": text}},
            },
        },
    }


if __name__ == "__main__":
    run(LibraryStandIn)
