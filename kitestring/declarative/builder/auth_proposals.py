"""The authentication of a stream: what the real API says without credentials, and how it takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.declarative.builder.manifest_plan import api_key_authenticator, config_template
from kitestring.declarative.builder.probe import ProbedRead, Prober
from kitestring.declarative.builder.stream_proposal import Draft, Proposal
from kitestring.declarative.manifest import connection_specification

AUTHENTICATOR = ("retriever", "requester", "authenticator")
REFUSED = (401, 403)
MOST_SECRETS = 2
KEY_HEADERS = ("X-API-Key", "X-Api-Token", "Api-Key")
KEY_PARAMETERS = ("api_key", "access_token")


def propose_auth(draft: Draft, prober: Prober, notes: list[str]) -> list[Proposal]:
    """An authenticator that the API takes, where it refuses what the manifest sends."""
    now = prober.read(draft.changed())
    status = last_status(now)
    if 0 < status < 400:
        if draft.get(*AUTHENTICATOR) is None:
            notes.append("Authentication: the API answers without credentials.")
            return []
        bare = last_status(prober.read(draft.changed((AUTHENTICATOR, None))))
        notes.append(
            "Authentication: the API answers, and refuses without the credentials."
            if bare in REFUSED
            else "Authentication: the API answers, and also without the credentials."
        )
        return []
    if status not in REFUSED:
        notes.append(f"Authentication: the API answers neither with records nor with a refusal. {now.error}".strip())
        return []
    challenge = next((value for name, value in headers_of(now).items() if name.lower() == "www-authenticate"), "")
    secrets = secret_inputs(draft, prober.config)
    if not secrets:
        refusal = ", ".join(filter(None, (str(status), challenge[:200])))
        notes.append(
            f"Authentication: the API refuses ({refusal}), and no secret input has a value to try. Add one, fill it in."
        )
    for title, authenticator in candidates(draft, secrets, challenge):
        read = prober.read(draft.changed((AUTHENTICATOR, authenticator)))
        if 0 < last_status(read) < 400:
            evidence = f"The API refused before ({status}) and answered {last_status(read)} with this."
            place = draft.place(*AUTHENTICATOR, shared=True)
            return [Proposal("auth", title, evidence, place, authenticator, "proven")]
    if secrets:
        notes.append(f"Authentication: the API refuses ({status}) all usual ways of sending {' and '.join(secrets)}.")
    return []


def candidates(draft: Draft, secrets: list[str], challenge: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ways to send a secret of the configuration, those of the challenge first."""
    users = users_of(draft)
    for name in secrets:
        secret = config_template(name)
        bearer = ("Bearer token", {"type": "BearerAuthenticator", "api_token": secret})
        pairs = [(config_template(user), secret) for user in users] + [(secret, ""), ("", secret)]
        basics = [
            ("Basic authentication", {"type": "BasicHttpAuthenticator", "username": user, "password": password})
            for user, password in pairs
        ]
        yield from [*basics, bearer] if challenge.lower().startswith("basic") else [bearer, *basics[: len(users)]]
        for header in KEY_HEADERS:
            yield f"API key in the header {header}", api_key_authenticator(secret, "header", header)
        for prefix in ("Token", "token", ""):
            yield (
                "API key in the header Authorization",
                api_key_authenticator(f"{prefix} {secret}".strip(), "header", "Authorization"),
            )
        for parameter in KEY_PARAMETERS:
            yield f"API key in the parameter {parameter}", api_key_authenticator(secret, "request_parameter", parameter)


def inputs(draft: Draft) -> Mapping[str, Any]:
    """The fields of the configuration by name."""
    properties = connection_specification(draft.resolved).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def users_of(draft: Draft) -> list[str]:
    """The inputs that look like the name of a user."""
    return [name for name in inputs(draft) if name in ("username", "user", "email", "login", "user_name")]


def secret_inputs(draft: Draft, config: Mapping[str, Any]) -> list[str]:
    """The secret texts of the configuration that have a value."""
    names = [
        str(name)
        for name, field in inputs(draft).items()
        if isinstance(field, Mapping)
        and field.get("airbyte_secret")
        and isinstance(config.get(name), str)
        and config[name]
    ]
    return names[:MOST_SECRETS]


def last_status(read: ProbedRead) -> int:
    return read.pages[-1].status if read.pages else 0


def headers_of(read: ProbedRead) -> Mapping[str, str]:
    return read.pages[-1].headers if read.pages else {}
