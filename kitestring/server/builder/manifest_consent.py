"""The consent that a manifest describes (`advanced_auth`): its beginning and its end, run in child processes.

What its end needs of the manifest is kept from its beginning on, so that a change of the manifest meanwhile sends the
client's secret to no other address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.server.auth.token_hash import digest, random_token
from kitestring.server.builder import draft_read
from kitestring.server.context import Context
from kitestring.server.oauth import consent

ADDRESS_LIMIT_S, OPTIONS_LIMIT_S = 20.0, 60.0


def begin(
    context: Context,
    manifest: str | Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    redirect_url: str,
    redirect_uri: str = "",
    browser: str = "",
    **kept: Any,
) -> str:
    """The page at which the account consents. `redirect_uri`: where the vendor redirects to, by default this server,
    which goes on to `redirect_url`; `browser`: the cookie of the browser that has to come back; `kept`: what the end
    gets beside that."""
    ours = redirect_uri or f"{context.settings.url}{consent.CALLBACK}"
    request = {
        "manifest": manifest,
        "config": config,
        "redirect_uri": ours,
        "state": random_token() + random_token() + random_token(),
        "limits": draft_read.child_limits(context),
    }
    begun = context.runner.run("consent_address", request, limit_s=ADDRESS_LIMIT_S)
    body = {
        **kept,
        "redirect_url": redirect_url,
        "ours": ours,
        "browser": digest(browser) if browser else "",
        "state": begun["state"],
        "state_key": begun["state_key"],
        "flow": begun["flow"],
    }
    with context.store.write() as db:
        consent.store_pending(context, db, begun["state"], body, context.store.now_ms(db), consent.MINUTES)
    return str(begun["url"])


def options(
    context: Context, body: Mapping[str, Any], query: Mapping[str, str], config: Mapping[str, Any], secrets: list[str]
) -> dict[str, Any]:
    """The values for the configuration, for which the code of a redirect is exchanged. `secrets` are masked."""
    request = {
        "flow": body["flow"],
        "config": config,
        "secrets": secrets,
        "redirect_uri": body["ours"],
        "state": body["state"],
        "query": dict(query),
        "limits": draft_read.child_limits(context),
    }
    values: dict[str, Any] = context.runner.run("consent_options", request, limit_s=OPTIONS_LIMIT_S)
    return values
