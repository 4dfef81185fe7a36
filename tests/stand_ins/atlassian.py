"""The base of the stand-ins of Jira and Confluence: the site, the gateway at `api.atlassian.com/ex/…`, and the tokens.

Facts, read 2026-11: support.atlassian.com "Manage API tokens for your Atlassian account" and "… for service accounts"
(tokens with scopes work at the gateway only, the others at the site only), "Create OAuth 2.0 credential for service
accounts" (client credentials, 60 minutes), developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens (a
refresh token ends when it is used, ten minutes later: one whose answer was lost is good once more).
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
EMAIL = "agent@larkspur.example"
SITE = "larkspur.atlassian.net"
CLOUD_ID = "1a11d016-8984-4c3e-b9ab-142dd06acb1b"
SCOPED_TOKEN, SERVICE_TOKEN = "scoped-token", "service-token"
CLIENT, SECRET, FIRST_REFRESH = "client-id", "client-secret", "refresh-0"


class AtlassianStandIn(PagedApi):
    """One site with two doors. `site_key` opens the site; what has scopes opens the gateway.

    `lifetime` is the number of calls for which an access token from the token endpoint is good, 0 for ever.
    """

    product: ClassVar[str] = ""
    site_key: ClassVar[str] = ""
    token_path: ClassVar[str] = "/oauth/token"

    def __init__(self, *, anonymous: bool = False, lifetime: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.anonymous = anonymous
        self.lifetime = lifetime
        self.refresh_token = self.refresh_token_before = FIRST_REFRESH
        self.calls_left: dict[str, int] = {}
        """Access tokens from the token endpoint, and the calls they are good for."""
        self._numbers = itertools.count(1)

    @property
    def gateway(self) -> str:
        return f"/ex/{self.product}/{CLOUD_ID}"

    def authorize(self, call: Call) -> Answer | None:
        if call.path in (self.token_path, "/_edge/tenant_info"):
            return None
        header = call.headers.get("authorization", "")
        if call.path.startswith("/ex/"):
            return self._authorize_at_gateway(call, header)
        if header == basic(self.site_key):
            return None
        if self.anonymous:
            return self.anonymous_answer()
        return self.refuse(401, "Client must be authenticated to access this resource.")

    def _authorize_at_gateway(self, call: Call, header: str) -> Answer | None:
        if not call.path.startswith(self.gateway + "/"):
            return Answer(404, {"code": 404, "message": "Not Found"})
        bearer = header.removeprefix("Bearer ")
        if self.calls_left.get(bearer, 0) > 0:
            self.calls_left[bearer] -= 1 if self.lifetime else 0
        elif header not in (basic(SCOPED_TOKEN), basic(SERVICE_TOKEN), f"Bearer {SERVICE_TOKEN}"):
            return Answer(401, {"code": 401, "message": "Unauthorized"})
        return None

    def anonymous_answer(self) -> Answer:
        raise NotImplementedError

    def _routed(self, call: Call) -> Answer:
        path = call.path
        call.path = path.removeprefix(self.gateway)
        try:
            return super()._routed(call)
        finally:
            call.path = path

    @route("GET", "/_edge/tenant_info")
    def tenant_info(self, call: Call) -> Json:
        return {"cloudId": CLOUD_ID}

    def grant(self, call: Call) -> Any:
        if not call.headers.get("content-type", "").startswith("application/json"):
            return Answer(415, {"error": "unsupported_media_type"})  # the documentation has JSON only
        form = call.json()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return Answer(401, {"error": "access_denied", "error_description": "Unauthorized"})
        access = f"access-{next(self._numbers)}"
        answer: Json = {"access_token": access, "expires_in": 3600, "token_type": "Bearer"}
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") not in (self.refresh_token, self.refresh_token_before):
                description = "Unknown or invalid refresh token."
                return Answer(403, {"error": "invalid_grant", "error_description": description})
            self.refresh_token_before = form["refresh_token"]
            self.refresh_token = answer["refresh_token"] = f"refresh-{access}"
        elif form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        elif form.get("audience") != "api.atlassian.com":
            return answer  # a token for nothing: each call with it is refused
        self.calls_left[access] = self.lifetime or 1
        return answer


def basic(token: str) -> str:
    return "Basic " + b64encode(f"{EMAIL}:{token}".encode()).decode()
