"""The base of the vendors' stand-ins: credentials, the token endpoint, refused paths, and pages of lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, Limit, StandIn
from kitestring.testing.token_endpoint import TokenEndpoint


@dataclass(slots=True)
class Page:
    """A part of a list: `following` is where the next part begins, None at the end."""

    rows: list[Any]
    begin: int
    size: int
    total: int

    @property
    def following(self) -> int | None:
        end = self.begin + self.size
        return end if end < self.total else None


class PagedApi(StandIn):
    """A vendor's API.

    The token `bearer` opens it, as does an access token of `tokens`, whose endpoint is at `token_path`. A path that has
    a part named in `lacks` is not in the account's plan; one with a part in `forbidden` is closed to the credentials.
    """

    bearer: ClassVar[str] = ""
    token_path: ClassVar[str] = ""
    tokens: TokenEndpoint
    page_parameters: ClassVar[tuple[str, str]] = ("limit", "offset")
    """The parameters of a list: how many rows, and where they begin."""
    page_size: ClassVar[int] = 100
    reports_limits: ClassVar[bool] = True
    """Whether answers tell the rate limit; else only the refusal does."""
    refusals: ClassVar[Mapping[int, str]] = {}
    """The messages for missing credentials (401), a list outside the plan (402) and one that is closed (403)."""

    def __init__(self, *, lacks: Collection[str] = (), forbidden: Collection[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.lacks, self.forbidden = lacks, forbidden

    def admits(self, call: Call) -> bool:
        """Whether the call has credentials that open the API."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and (token == self.bearer or (bool(self.token_path) and self.tokens.allows(token)))

    def authorize(self, call: Call) -> Answer | None:
        if call.path == self.token_path:
            return None
        if not self.admits(call):
            return self.refuse(401, self.refusals[401])
        for status, parts in ((402, self.lacks), (403, self.forbidden)):
            if status in self.refusals and any(part in call.path for part in parts):
                return self.refuse(status, self.refusals[status])
        return None

    def grant(self, call: Call) -> Any:
        """The answer of the token endpoint."""
        return self.tokens.answer(call)

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return super().rate_headers(limit, remaining, reset_s) if self.reports_limits else {}

    def _routed(self, call: Call) -> Answer:
        if (call.method, call.path) == ("POST", self.token_path):
            answer = self.grant(call)
            return answer if isinstance(answer, Answer) else Answer(200, answer)
        return super()._routed(call)

    def page_of(self, call: Call, rows: Sequence[Any], *, most: int | None = None, prefix: str = "") -> Page:
        """The page that a call asks for; `prefix` stands before the place where it begins, `most` bounds its size."""
        size_name, place_name = self.page_parameters
        size = int(call.param(size_name, str(self.page_size)))
        size = size if most is None else min(size, most)
        begin = int(call.param(place_name, "0").removeprefix(prefix))
        return Page(list(rows[begin : begin + size]), begin, size, len(rows))
