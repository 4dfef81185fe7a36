"""The OAuth consent flow: an editor begins it, the vendor redirects back, the tokens are sealed into a source.

`begin` keeps what is needed under the hash of a random `state` for ten minutes; `end` takes it away in one
transaction, so that a state is good once. The code is exchanged with the redirect address and the PKCE verifier that
belong to that state. What comes back goes into the source that the consent was begun for, or is kept for an hour under
a secret id, with which its workspace (and no other) makes a source.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Connection, delete, select

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.server.auth.token_hash import digest, random_token
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.oauth.vendor import Vendor
from kitestring.server.observability.audit import acting
from kitestring.server.settings import LOOPBACK
from kitestring.server.store.tables import consents, oauth_credentials, workspaces

MINUTES, SECRET_MINUTES = 10, 60
CALLBACK = "/api/public/v1/oauth/callback"
MOST_PARAMETERS = 20
"""Parameters of a redirect in which a state is looked for, where none is called `state`."""


@dataclass(frozen=True)
class ConsentResult:
    """The result of a callback: the next address of the browser, and a secret id if no source was named."""

    redirect_url: str
    secret_id: str = ""
    source_id: str = ""
    project_id: str = ""
    error: str = ""

    @property
    def location(self) -> str:
        """The address to go on to, with what has come of it in the query."""
        result = {name: getattr(self, name) for name in ("secret_id", "source_id", "project_id", "error")}
        query = urlencode({name: value for name, value in result.items() if value})
        return f"{self.redirect_url}{'&' if '?' in self.redirect_url else '?'}{query}"


def begin(
    context: Context,
    vendor: Vendor,
    *,
    actor: str,
    workspace_id: str,
    redirect_url: str,
    config: Mapping[str, Any],
    source_id: str | None = None,
    scopes: list[str] | None = None,
    browser: str = "",
) -> str:
    """The address at which the vendor asks for consent. `browser`: only the browser with this cookie may come back."""
    check_redirect(context, redirect_url)
    with context.store.read() as db:
        client_id, _ = client(context, db, vendor, workspace_id, config)
    state, verifier = random_token(), random_token()
    ours = f"{context.settings.url}{CALLBACK}"
    body = {
        "connector": vendor.connector,
        "actor": actor,
        "workspace_id": workspace_id,
        "redirect_url": redirect_url,
        "ours": ours,
        "source_id": source_id,
        "browser": digest(browser) if browser else "",
        "config": {name: config[name] for name in (*vendor.inputs, vendor.site) if name in config},
        "own": own_client(vendor, config),
        "verifier": verifier,
    }
    with context.store.write() as db:
        now = context.store.now_ms(db)
        store_pending(context, db, state, body, now, MINUTES)
    query = {
        "client_id": client_id,
        "redirect_uri": ours,
        "response_type": "code",
        "state": state,
        **({"scope": vendor.separator.join(scopes or vendor.scopes)} if scopes or vendor.scopes else {}),
        **({"optional_scope": vendor.separator.join(vendor.optional_scopes)} if vendor.optional_scopes else {}),
        **vendor.extra,
    }
    if vendor.pkce:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    return f"{vendor.address(vendor.authorize_url, config)}?{urlencode(query)}"


def take(context: Context, query: Mapping[str, str], browser: str = "") -> dict[str, Any]:
    """What was kept for the redirect of a vendor, once. 400 for a state that is unknown, spent, expired or of another
    browser. A manifest may name the parameter of the state otherwise."""
    states = [query["state"]] if "state" in query else list(query.values())[:MOST_PARAMETERS]
    with context.store.write() as db:
        bodies = (take_pending(context, db, state) for state in states if state)
        body = next((body for body in bodies if body is not None), None)
    if body is None or "browser" not in body or (body["browser"] and body["browser"] != digest(browser)):
        raise Problem(
            400,
            "the consent is not known, was used already or has expired",
            hint="Begin it again.",
            title="bad-request",
        )
    return body


def end(
    context: Context, vendors: Mapping[str, Vendor], body: Mapping[str, Any], query: Mapping[str, str]
) -> ConsentResult:
    """Handle the redirect of a vendor that the registry has, with what was kept for it."""
    back = str(body["redirect_url"])
    if "code" not in query:
        return ConsentResult(back, error=str(query.get("error") or "no_code")[:100])
    try:
        return finish(context, vendors[body["connector"]], body, query)
    except KitestringError as error:
        return ConsentResult(back, error=error.message[:500])


def finish(context: Context, vendor: Vendor, body: Mapping[str, Any], query: Mapping[str, str]) -> ConsentResult:
    """Exchange the code, and store the tokens."""
    options = {**body["config"], **expand_options(body["own"])}
    with context.store.read() as db:
        client_id, client_secret = client(context, db, vendor, body["workspace_id"], options)
    if vendor.signed and not signature_fits(query, client_secret):
        raise AuthError(f"{vendor.connector}: the signature of the redirect is wrong", hint="Begin again.")
    tokens = exchange_code(vendor, body, query["code"], client_id, client_secret)
    config = expand_options(
        {
            **vendor.constants,
            **(
                {vendor.client_options[0]: client_id, vendor.client_options[1]: client_secret}
                if vendor.client_options
                else {}
            ),
            **{option: tokens[name] for name, option in vendor.tokens.items()},
            **{option: tokens[name] for name, option in vendor.renewed.items() if is_token(tokens.get(name))},
            **({vendor.expiry: expiry_of(tokens["expires_in"])} if vendor.expiry and tokens.get("expires_in") else {}),
            **({"cloud_id": site_of(vendor, tokens["access_token"], body["config"])} if vendor.sites_url else {}),
        }
    )
    with acting(str(body["actor"])), context.store.write() as db:
        if body["source_id"]:
            row = endpoints.get(db, "source", body["source_id"])
            # The whole object of the credentials is another one: what the old branch of the form held goes.
            config = {**context.secret_box.open_config(row.config, row.id), **config}
            # The vendor's tokens do not change who wrote the rest of the configuration, so `trusted` stays.
            endpoints.change(context, db, "source", row.id, config=config, trusted=row.trusted)
            return ConsentResult(body["redirect_url"], source_id=body["source_id"])
        secret_id = random_token()
        pending = {"workspace_id": body["workspace_id"], "connector": vendor.connector, "config": config}
        store_pending(context, db, secret_id, pending, context.store.now_ms(db), SECRET_MINUTES)
    return ConsentResult(body["redirect_url"], secret_id=secret_id)


def exchange_code(
    vendor: Vendor, body: Mapping[str, Any], code: str, client_id: str, client_secret: str
) -> dict[str, Any]:
    """The vendor's answer to the code: it has every token that the source needs, or an error says what it has not."""
    from kitestring.http import Basic, Retries, Session

    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": body["ours"], **vendor.asked}
    if vendor.client_in == "body":
        form |= {"client_id": client_id, "client_secret": client_secret}
    if vendor.pkce:
        form["code_verifier"] = body["verifier"]
    with Session(
        secrets=[client_secret, code, body["verifier"]],
        auth=Basic(client_id, client_secret) if vendor.client_in == "header" else None,
        headers={"Accept": "application/json"},
        policy=Retries(attempts=1),
        timeout_s=30,
    ) as http:
        url = vendor.address(vendor.token_url, body["config"])
        body_arguments: dict[str, Any] = {"json": form} if vendor.sent_as == "json" else {"form": form}
        answer = http.request("POST", url, **body_arguments).json()
    if not isinstance(answer, Mapping) or answer.get("error") or answer.get("ok") is False:
        reason = answer.get("error") if isinstance(answer, Mapping) else ""
        raise AuthError(f"{vendor.connector} does not accept the consent: {str(reason)[:100]}", hint="Begin it again.")
    missing = [name for name in vendor.tokens if not is_token(answer.get(name))]
    if missing:
        raise AuthError(
            f"{vendor.connector} answered the consent without {', '.join(missing)}",
            hint="Check the kind of the application that is registered there.",
        )
    return dict(answer)


def is_token(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def expiry_of(seconds: Any) -> str:
    """The end of a token that is valid for this many seconds from now."""
    try:
        return (datetime.now(UTC) + timedelta(seconds=float(seconds))).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError) as error:
        raise AuthError(
            f"the vendor says that the token ends in {str(seconds)[:50]!r} seconds, no number", hint="Begin it again."
        ) from error


def site_of(vendor: Vendor, token: str, config: Mapping[str, Any]) -> str:
    """The id of the site that the consent is for: the one that the configuration names, or the only one."""
    from kitestring.http import Bearer, Retries, Session

    with Session(secrets=[token], auth=Bearer(token), policy=Retries(attempts=1), timeout_s=30) as http:
        sites = http.request("GET", vendor.sites_url).json()
    configured_site = str(config.get(vendor.site) or "").lower().removeprefix("https://").strip("/")
    urls = {str(site["url"]).removeprefix("https://").strip("/"): str(site["id"]) for site in sites}
    if configured_site in urls:
        return urls[configured_site]
    if len(urls) == 1 and not configured_site:
        return next(iter(urls.values()))
    raise AuthError(
        f"the consent of {vendor.connector} opens {', '.join(urls) or 'no site'}, and {vendor.site} is "
        f"{configured_site or 'not given'}",
        hint=f"Give {vendor.site} in the configuration, and consent for that site.",
    )


def redeem(
    context: Context, db: Connection, secret_id: str, workspace_id: str, connector: str, config: Mapping[str, Any]
) -> dict[str, Any]:
    """A configuration with the options behind a secret id, once; 422 for one of another workspace or connector."""
    body = take_pending(context, db, secret_id)
    if (
        body is None
        or body.get("workspace_id") != workspace_id
        or body.get("connector") != connector
        or "verifier" in body
    ):
        raise Problem(
            422,
            "the secretId is not known, was used already, has expired, or belongs to another workspace or connector",
            hint="Begin the consent again.",
        )
    options: dict[str, Any] = body["config"]
    return endpoints.merged(config, options) if body.get("merge") else {**config, **options}


# -- the vendor's client -----------------------------------------------------------------------------------------------


def client(
    context: Context, db: Connection, vendor: Vendor, workspace_id: str, config: Mapping[str, Any]
) -> tuple[str, str]:
    """Client id and secret of the application that is registered at the vendor: the configuration's own, the
    workspace's, or its organization's."""
    own = own_client(vendor, config)
    if own:
        return own["credentials.client_id"], own["credentials.client_secret"]
    for scope_id in scopes_of(db, workspace_id).values():
        stored = credentials(context, db, scope_id, "source", vendor.connector)
        if stored:
            return str(stored["client_id"]), str(stored["client_secret"])
    raise ConfigError(
        f"no OAuth client is registered for {vendor.connector}",
        hint=f"Register an application at the vendor with the redirect address {context.settings.url}{CALLBACK}, "
        "and put its client_id and client_secret to the workspace's oauthCredentials.",
    )


def scopes_of(db: Connection, workspace_id: str) -> dict[str, str]:
    """Where the OAuth client of a workspace may be registered, by what it is; the first that is there is used."""
    of_workspace = select(workspaces.c.organization_id).where(workspaces.c.id == workspace_id)
    return {"workspace": workspace_id, "organization": str(db.execute(of_workspace).scalar_one_or_none())}


def registered(db: Connection, workspace_id: str) -> dict[str, str]:
    """Where each source has its OAuth client, for consents of a workspace: `workspace` or `organization`."""
    clients: dict[str, str] = {}
    for scope, scope_id in reversed(scopes_of(db, workspace_id).items()):
        mine = (oauth_credentials.c.scope_id == scope_id) & (oauth_credentials.c.kind == "source")
        clients |= dict.fromkeys(db.execute(select(oauth_credentials.c.name).where(mine)).scalars(), scope)
    return clients


def own_client(vendor: Vendor, config: Mapping[str, Any]) -> dict[str, str]:
    """Client id and secret from the configuration itself, as options with dots; nothing without both."""
    inner = config.get("credentials")
    place = inner if isinstance(inner, Mapping) else config
    pair = place.get("client_id"), place.get("client_secret")
    if not all(isinstance(value, str) and value for value in pair):
        return {}
    return {"credentials.client_id": str(pair[0]), "credentials.client_secret": str(pair[1])}


def credentials(context: Context, db: Connection, scope_id: str, kind: str, name: str) -> dict[str, Any] | None:
    """The OAuth client of a workspace or an organization for a connector, open."""
    name = normalized(name)
    config = db.execute(
        select(oauth_credentials.c.config).where(*key_columns(scope_id, kind, name))
    ).scalar_one_or_none()
    return None if config is None else context.secret_box.open_config(config, owner(scope_id, kind, name))


def put_credentials(
    context: Context, db: Connection, scope_id: str, kind: str, name: str, config: Mapping[str, Any]
) -> None:
    """Keep an OAuth client. All of it is sealed."""
    name = normalized(name)
    flat = {**config, **(config["credentials"] if isinstance(config.get("credentials"), Mapping) else {})}
    pair = {key: flat.get(key) for key in ("client_id", "client_secret")}
    if not all(isinstance(value, str) and value for value in pair.values()):
        raise ConfigError("an OAuth client has client_id and client_secret", hint="Give both in the configuration.")
    sealed = context.secret_box.seal_config(pair, {"airbyte_secret": True}, owner(scope_id, kind, name))
    db.execute(delete(oauth_credentials).where(*key_columns(scope_id, kind, name)))
    db.execute(oauth_credentials.insert().values(scope_id=scope_id, kind=kind, name=name, config=sealed))


def delete_credentials(db: Connection, scope_id: str, kind: str, name: str) -> None:
    """Forget an OAuth client."""
    db.execute(delete(oauth_credentials).where(*key_columns(scope_id, kind, normalized(name))))


def owner(scope_id: str, kind: str, name: str) -> str:
    return f"{scope_id} {kind} {name}"


def key_columns(scope_id: str, kind: str, name: str) -> list[Any]:
    table = oauth_credentials.c
    return [table.scope_id == scope_id, table.kind == kind, table.name == name]


def normalized(name: str) -> str:
    """`source-zendesk-support`, `zendesk-support` and `zendesk_support` are one."""
    return name.strip().lower().removeprefix("source-").removeprefix("destination-").replace("-", "_")


# -- what is kept meanwhile --------------------------------------------------------------------------------------------


def store_pending(
    context: Context, db: Connection, token: str, body: Mapping[str, Any], now: int, minutes: int
) -> None:
    """Store a body, sealed, under the hash of a token, and delete expired ones."""
    db.execute(delete(consents).where(consents.c.expires_at_ms < now))
    key = digest(token)
    sealed = context.secret_box.seal(json.dumps(body), key)
    db.execute(consents.insert().values(state_hash=key, body={"sealed": sealed}, expires_at_ms=now + minutes * 60_000))


def take_pending(context: Context, db: Connection, token: str) -> dict[str, Any] | None:
    """Take a body out of the store, once: a second call gets None."""
    key = digest(token)
    row = db.execute(select(consents).where(consents.c.state_hash == key).with_for_update()).one_or_none()
    if row is None or not db.execute(delete(consents).where(consents.c.state_hash == key)).rowcount:
        return None
    if row.expires_at_ms < context.store.now_ms(db):
        return None
    return dict(json.loads(context.secret_box.open(row.body["sealed"], key)))


def check_redirect(context: Context, url: str) -> None:
    """Refuse a redirect address that is neither https nor this machine."""
    parts = urlsplit(url)
    own = urlsplit(context.settings.url)
    if parts.scheme == "https" or (
        parts.scheme == "http" and (parts.hostname in LOOPBACK or parts.netloc == own.netloc) and parts.hostname
    ):
        return
    raise Problem(400, "the redirectUrl is neither https nor of this machine", hint="Give an https address.")


def expand_options(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    out: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, last = path.split(".")
        node = out
        for name in folders:
            node = node.setdefault(name, {})
        node[last] = value
    return out


def signature_fits(query: Mapping[str, str], secret: str) -> bool:
    """Shopify signs the query: HMAC-SHA256 over its parameters in order, without `hmac` itself."""
    message = "&".join(f"{name}={query[name]}" for name in sorted(query) if name != "hmac")
    expected = hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, query.get("hmac", ""))
