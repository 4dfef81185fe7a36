"""Actions for the consent that a manifest describes, in a child process: anybody may have written its templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kitestring.server.child.call import ActionCall

TIMEOUT_S = 30.0
PKCE = re.compile(r"code.?challenge|pkce", re.IGNORECASE)
"""Where the error of a vendor names it (RFC 7636, 4.4.1)."""


def consent_address(call: ActionCall) -> Any:
    """The page at which an account consents, and what the end of that consent needs of the manifest."""
    from kitestring.declarative.consent_flow import flow_of
    from kitestring.declarative.manifest import json_values

    request = call.request
    manifest = request["manifest"]
    flow = flow_of(json_values(manifest) if isinstance(manifest, str) else manifest)
    state = str(request["state"])[: flow.state_length]
    url = flow.address(dict(request["config"]), str(request["redirect_uri"]), state)
    return {"url": url, "state": state, "state_key": flow.state_key, "flow": flow.specification}


def consent_options(call: ActionCall) -> Any:
    """Exchanges the code of a redirect for tokens: the values for the configuration."""
    from kitestring.declarative.consent_flow import ConsentFlow
    from kitestring.errors import AuthError
    from kitestring.http import Retries, Session

    request = call.request
    flow, config = ConsentFlow(request["flow"]), dict(request["config"])
    query, state = request["query"], str(request["state"])
    code = query.get(flow.code_key)
    if not code:
        reason = str(query.get("error_description") or query.get("error") or f"no {flow.code_key}")
        if PKCE.search(reason):
            reason = f"{reason[:200]}. The vendor asks for PKCE: switch it on in the connector's authentication"
        raise AuthError(f"the vendor returned without a consent: {reason[:300]}", hint="Sign in again.")
    secrets = [*flow.secrets(config), str(code)]
    call.hide({*secrets, *(str(text) for text in request.get("secrets") or ())})
    url, headers, body = flow.token_request(config, str(request["redirect_uri"]), state, str(code))
    with Session(secrets=secrets, headers=headers, policy=Retries(attempts=1), timeout_s=TIMEOUT_S) as http:
        return flow.options(http.request("POST", url, json=body.get("json"), form=body.get("form")).json())


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "consent_address": consent_address,
    "consent_options": consent_options,
}
