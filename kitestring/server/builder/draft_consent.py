"""An account's consent for a draft of the connector builder: its tokens go sealed into the test configuration.

The manifest describes the consent (`manifest_consent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.errors import KitestringError
from kitestring.redact import MASK
from kitestring.server.builder import builder_project, manifest_consent
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.oauth import consent
from kitestring.server.oauth.consent import ConsentResult
from kitestring.server.secrets.secret_box import each_leaf


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
    return manifest_consent.begin(
        context,
        project.draft,
        builder_project.opened_config(context, project),
        redirect_url=redirect_url,
        redirect_uri=redirect_uri,
        browser=browser,
        project_id=project.id,
    )


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
    secrets = list(builder_project.sealed_texts(context, project))
    options = manifest_consent.options(context, body, query, config, secrets)
    with context.store.write() as db:
        builder_project.renew_config(context, db, project.id, config, endpoints.merged(config, options))
    return dict(each_leaf(options, lambda leaf: MASK))
