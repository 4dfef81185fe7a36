"""A stand-in for an API that no connector knows: a furniture workshop with projects, tasks and eighteen more lists.

By hand: `python -m stand_ins.workshop --port 8080` prints its address; `/docs` is its documentation for people,
`/openapi.json` for programs. The token is workshop-token, the OAuth client workshop with the secret workshop-secret.
"""

from __future__ import annotations

from html import escape
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlencode

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
TOKEN, CLIENT, SECRET = "workshop-token", "workshop", "workshop-secret"
HOUR = 3600
LISTS = {
    "projects": 12, "people": 25, "clients": 30, "teams": 4, "tags": 15, "invoices": 60, "payments": 55, "expenses": 40,
    "timesheets": 120, "notes": 35, "files": 20, "materials": 45, "suppliers": 10, "orders": 70, "quotes": 33,
    "machines": 8, "services": 16, "locations": 3, "holidays": 11,
}  # fmt: skip
"""The lists of the account, with how many rows each has; `tasks` are those of a project."""
CONSENT_PARAMETERS = frozenset({"client_id", "redirect_uri", "response_type", "state", "scope"})
"""The parameters of the consent page that a strict vendor knows beside those of PKCE."""
TOKEN_FIELDS = frozenset({"grant_type", "code", "client_id", "client_secret", "redirect_uri", "refresh_token", "scope"})
TASKS = 7
LARGEST_PAGE = 50
DOCS = """# Workshop API

Send `Authorization: Bearer TOKEN`. A token comes from your profile, or from `POST /oauth/token` with
`grant_type=client_credentials`, `client_id` and `client_secret` as a form; such a token ends after half an hour.
An account consents at `GET /oauth/authorize` (`client_id`, `redirect_uri`, `state`, `code_challenge` of PKCE); the code
that comes back is worth an access token and a refresh token. A refresh ends both, and answers the next ones.

Every list answers `{"data": [...], "paging": {"total": 120, "offset": 0, "limit": 25}}`. Ask for the next part with
`offset`; `limit` is at most 50. `updated_since` leaves out what has not changed since a time such as
2026-01-31T12:00:00Z; each row has `id` and `updated_at`.

`GET /v1/projects` lists the projects, `GET /v1/projects/{id}/tasks` the tasks of one. Other lists: """


class WorkshopStandIn(PagedApi):
    """`rows` are the lists behind the API, by name; the tasks have the id of their project.

    `pkce`: whether a consent may have a code challenge. `refused` and `required` answer 400 for any other parameter
    that is not in the documentation too, as a few vendors do.
    """

    name: ClassVar[str] = "workshop"
    bearer: ClassVar[str] = TOKEN
    token_path: ClassVar[str] = "/oauth/token"
    page_size: ClassVar[int] = 25
    refusals: ClassVar[dict[int, str]] = {401: "Send a token: Authorization: Bearer …"}

    pkce: Literal["allowed", "refused", "required"] = "allowed"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tokens = TokenEndpoint({CLIENT: SECRET}, 1800.0, sent_as=("form",))
        texts = problems()
        self.rows: dict[str, list[Json]] = {}
        for name, count in {**LISTS, "tasks": LISTS["projects"] * TASKS}.items():
            self.rows[name] = [
                {
                    "id": number,
                    "name": f"{name.removesuffix('s').capitalize()} {number}: {texts[number % len(texts)].title}",
                    "text": texts[number % len(texts)].symptom,
                    "updated_at": iso(BEGIN + number * HOUR),
                }
                for number in range(1, count + 1)
            ]
        for number, task in enumerate(self.rows["tasks"]):
            task["project_id"] = number // TASKS + 1

    def authorize(self, call: Call) -> Answer | None:
        return None if call.path in ("/openapi.json", "/docs", "/oauth/authorize") else super().authorize(call)

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"message": message})

    def grant(self, call: Call) -> Any:
        known = TOKEN_FIELDS | ({"code_verifier"} if self.pkce == "required" else set())
        unknown = parse_qs(call.body.decode()).keys() - known
        if self.pkce != "allowed" and unknown:
            return Answer(400, {"error": "invalid_request", "error_description": f"unknown: {', '.join(unknown)}"})
        return super().grant(call)

    @route("GET", "/oauth/authorize")
    def consent_page(self, call: Call) -> Answer:
        """The page on which a person consents, with a link back."""
        client, address = call.param("client_id"), call.param("redirect_uri")
        if client not in self.tokens.clients:
            return Answer(400, "<h1>Unknown application</h1>", {"Content-Type": "text/html"})
        challenge = {"code_challenge", "code_challenge_method"} if self.pkce == "required" else set()
        unknown = call.params.keys() - CONSENT_PARAMETERS - challenge
        if self.pkce != "allowed" and unknown:
            return Answer(
                400, f"<h1>Unknown parameters: {escape(', '.join(unknown))}</h1>", {"Content-Type": "text/html"}
            )
        if challenge and call.param("code_challenge_method") != "S256":
            problem = {"error": "invalid_request", "error_description": "Code challenge required"}
            return Answer(302, "", {"Location": f"{address}?{urlencode({**problem, 'state': call.param('state')})}"})
        code = self.tokens.code(client, challenge=call.param("code_challenge"), redirect_uri=address)
        allow = f"{address}?{urlencode({'code': code, 'state': call.param('state')})}"
        deny = f"{address}?{urlencode({'error': 'access_denied', 'state': call.param('state')})}"
        links = f'<a href="{escape(allow)}">Allow</a> <a href="{escape(deny)}">Deny</a>'
        return Answer(200, f"<h1>May {escape(client)} read your workshop?</h1>{links}", {"Content-Type": "text/html"})

    @route("GET", "/v1/projects/{project}/tasks")
    def tasks(self, call: Call, project: str) -> Any:
        if project not in {str(row["id"]) for row in self.rows["projects"]}:
            return self.refuse(404, "There is no such project.")
        return self.listed(call, [row for row in self.rows["tasks"] if str(row["project_id"]) == project])

    @route("GET", "/v1/{collection}")
    def collection(self, call: Call, collection: str) -> Any:
        if collection not in LISTS:
            return self.refuse(404, "There is no such list.")
        return self.listed(call, self.rows[collection])

    def listed(self, call: Call, rows: list[Json]) -> Json:
        since = call.param("updated_since")
        page = self.page_of(call, [row for row in rows if row["updated_at"] >= since], most=LARGEST_PAGE)
        return {"data": page.rows, "paging": {"total": page.total, "offset": page.begin, "limit": page.size}}

    @route("GET", "/docs")
    def docs(self, call: Call) -> str:
        return DOCS + ", ".join(f"`/v1/{name}`" for name in LISTS) + ".\n"

    @route("GET", "/openapi.json")
    def openapi(self, call: Call) -> Json:
        """The documentation for programs: OpenAPI 3, twenty lists."""
        row = {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "name": {"type": "string"},
                "text": {"type": "string"},
                "updated_at": {"type": "string", "format": "date-time"},
            },
        }
        paging = {"type": "object", "properties": {name: {"type": "integer"} for name in ("total", "offset", "limit")}}
        parameters = [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": LARGEST_PAGE, "default": 25}},
            {"name": "offset", "in": "query", "schema": {"type": "integer", "default": 0}},
            {"name": "updated_since", "in": "query", "schema": {"type": "string", "format": "date-time"}},
        ]
        paths: Json = {
            f"/{name}": {"get": self._operation(name, f"All {name} of the account", parameters)} for name in LISTS
        }
        project = {"name": "project", "in": "path", "required": True, "schema": {"type": "integer"}}
        paths["/projects/{project}/tasks"] = {
            "get": self._operation("tasks", "The tasks of a project", [project, *parameters])
        }
        return {
            "openapi": "3.0.3",
            "info": {"title": "Workshop", "version": "1.4", "description": "A furniture workshop."},
            "servers": [{"url": f"{self.url}/v1"}],
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
                "schemas": {"Row": row, "Paging": paging},
            },
        }

    def _operation(self, name: str, summary: str, parameters: list[Json]) -> Json:
        answer = {
            "type": "object",
            "properties": {
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
                "paging": {"$ref": "#/components/schemas/Paging"},
            },
        }
        return {
            "operationId": f"list_{name}",
            "summary": summary,
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}},
        }


if __name__ == "__main__":
    run(WorkshopStandIn)
