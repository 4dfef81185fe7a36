"""Error responses of the API: problem JSON with the titles of Airbyte's API.

The shape is `{status, type, title, detail, documentationUrl, data}`; `title` is one of Airbyte's words.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

from kitestring.errors import AuthError, ConfigError, KitestringError, SchemaError, TransientError
from kitestring.server.store.store import StoreError

log = logging.getLogger("kitestring.server")

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "bad-request",
    401: "invalid-api-key",
    403: "forbidden",
    404: "resource-not-found",
    408: "request-timeout",
    409: "state-conflict",
    412: "precondition-failed",
    413: "request-too-large",
    422: "unprocessable-entity",
    423: "try-again-later",
    429: "try-again-later",
    500: "unexpected-problem",
    501: "not-implemented-in-oss",
    503: "service-unavailable",
}


class ProblemResponse(JSONResponse):
    """A problem on the wire (https://www.rfc-editor.org/rfc/rfc9457)."""

    media_type = MEDIA_TYPE

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.body(), problem.status, headers=problem.headers)


class Problem(Exception):
    """An answer of status 4xx or 5xx. `detail` is a sentence, `hint` the next action, `data` holds facts."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        hint: str = "",
        title: str = "",
        headers: dict[str, str] | None = None,
        **data: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.title = title or TITLES.get(status, "error")
        self.headers = headers or {}
        self.data = data

    def body(self) -> dict[str, Any]:
        """The JSON of the answer. `message` is there for clients that look for one (Airbyte's Config API has it)."""
        end = "" if self.detail.endswith((".", "?", "!")) else "."
        detail = f"{self.detail}{end} {self.hint}" if self.hint else self.detail
        return {
            "status": self.status,
            "type": f"error:{self.title}",
            "title": self.title,
            "detail": detail,
            "message": detail,
            "documentationUrl": None,
            "data": {**self.data, **({"hint": self.hint} if self.hint else {})},
        }


def missing_resource(what: str, key: object) -> Problem:
    """404: there is no `what` with this id (or it was deleted, or the asker may not see it)."""
    return Problem(404, f"there is no {what} {key}", hint=f"List the {what}s to see which there are.")


def problem_of(error: KitestringError) -> Problem:
    """A refusal of ours as an answer: what the user must change is 422, what may work later 503."""
    if isinstance(error, ConfigError | AuthError | SchemaError):
        problems = error.fields.get("problems")  # what is wrong, by the path of the option
        data: dict[str, Any] = {"problems": dict(problems)} if isinstance(problems, Mapping) else {}
        return Problem(422, error.message, hint=error.hint, kind=type(error).__name__, **data)
    if isinstance(error, StoreError):
        # Where the store is, and what its driver says, is its operator's to know: it is in the log.
        log.error("a request met a store that does not answer: %s", error.message)
        hint = "Try again in a moment; the log of the server says more."
        return Problem(503, "the server cannot reach its store", hint=hint, headers={"Retry-After": "5"})
    if isinstance(error, TransientError):
        wait = {} if error.retry_after_s is None else {"Retry-After": str(round(error.retry_after_s))}
        # The job that it waits for, where there is one.
        job = {"jobId": error.fields["job_id"]} if "job_id" in error.fields else {}
        return Problem(503, error.message, hint=error.hint, headers=wait, kind=type(error).__name__, **job)
    return Problem(500, error.message, hint=error.hint, kind=type(error).__name__)
