"""An account's consent for a draft of the connector builder: its tokens go sealed into the test configuration.

The manifest describes the consent (`advanced_auth`). What its end needs of the manifest is kept from its beginning on,
so that an edit meanwhile sends the client's secret to no other address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.errors import KitestringError
from kitestring.redact import MASK
from kitestring.server.auth.token_hash import digest, random_token
from kitestring.server.builder import builder_project, draft_read
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.oauth import consent
from kitestring.server.oauth.consent import ConsentResult
from kitestring.server.secrets.secret_box import each_leaf

ADDRESS_LIMIT_S, OPTIONS_LIMIT_S = 20.0, 60.0


def begin(
    context: Context,
    project: Any,
    *,
    redirect_url: str,
    redirect_uri: str = "",
    browser: str = "",
) -> str:
    """The page at which the account consents to the draft. `redirect_uri`: where the vendor redirects to, by default
    this server, which goes on to `redirect_url`; `browser`: the cookie of the browser that has to come back."""
    ours = redirect_uri or f"{context.settings.url}{consent.CALLBACK}"
    request = {
        "manifest": project.draft,
        "config": builder_project.opened_config(context, project),
        "redirect_uri": ours,
        "state": random_token() + random_token() + random_token(),
        "limits": draft_read.child_limits(context),
    }
    begun = context.runner.run("consent_address", request, limit_s=ADDRESS_LIMIT_S)
    body = {
        "project_id": project.id,
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


def take(context: Context, project: Any, query: Mapping[str, str], redirect_uri: str) -> dict[str, Any]:
    """What was kept for a redirect that a client of the API got. 400 for one of another project or address."""
    body = consent.take(context, query)
    if body.get("project_id") != project.id or body["ours"] != redirect_uri:
        raise Problem(
            400,
            "the state of the redirect belongs to another project or another redirectUrl",
            hint="Begin the consent again.",
            title="bad-request",
        )
    return body


def end(context: Context, body: Mapping[str, Any], query: Mapping[str, str]) -> ConsentResult:
    """Handle the redirect of the vendor, with what was kept for it."""
    back, project_id = str(body["redirect_url"]), str(body["project_id"])
    try:
        complete(context, body, query)
    except KitestringError as error:
        return ConsentResult(back, project_id=project_id, error=error.message[:500])
    return ConsentResult(back, project_id=project_id)


def complete(context: Context, body: Mapping[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Exchange the code for tokens, and seal them into the test configuration. Returns their places, masked."""
    with context.store.read() as db:
        project = builder_project.get(db, str(body["project_id"]))
    config = builder_project.opened_config(context, project)
    request = {
        "flow": body["flow"],
        "config": config,
        "secrets": builder_project.sealed_texts(context, project),
        "redirect_uri": body["ours"],
        "state": body["state"],
        "query": dict(query),
        "limits": draft_read.child_limits(context),
    }
    options = context.runner.run("consent_options", request, limit_s=OPTIONS_LIMIT_S)
    with context.store.write() as db:
        builder_project.renew_config(context, db, project.id, config, merged(config, options))
    return dict(each_leaf(options, lambda leaf: MASK))


def merged(config: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with options in it; objects are merged."""
    inner = dict(options)
    for name, value in options.items():
        before = config.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner[name] = merged(before, value)
    return {**config, **inner}
