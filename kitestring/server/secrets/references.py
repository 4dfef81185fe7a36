"""References to secrets kept elsewhere: `${env:NAME}`, `${file:PATH}`, `${vault:PATH#FIELD}` in place of a secret.

Those of the clouds (`${aws:…}`, `${gcp:…}`, `${azure:…}`) are in `cloud.py`.

They are looked up in the child process, when the connector is built, and only where the connector's form marks a
secret: elsewhere such a text is a text. A user who may edit a source can send its secrets to any address, so that a
reference that the user may use is a secret that the user may read. The usable ones are therefore the operator's
choice: the setting `references` (KITESTRING_REFERENCES) lists patterns, `env:ACME_*`, `file:/run/secrets/*`,
`vault:secret/data/kitestring/*`. By default they are `env:KITESTRING_CONFIG_*` and the folder
`secrets` in the data folder: secrets put there for this purpose, and none of the server's own.
"""

from __future__ import annotations

import copy
import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kitestring.config import Place, secret_places, value_at
from kitestring.errors import AuthError, ConfigError
from kitestring.server.secrets import cloud
from kitestring.server.secrets.secret_box import REFERENCE, is_reference
from kitestring.server.settings import Settings

FORBIDDEN = ("KITESTRING_SECRET_KEY", "KITESTRING_DATABASE_URL", "VAULT_TOKEN")
"""The server's own secrets. No configuration may refer to them, whatever the patterns say."""
LONGEST_FILE = 1 << 20


def patterns_of(settings: Settings) -> list[str]:
    """Patterns of what references may name, with absolute paths. For the request of a child process."""
    patterns = [pattern.strip() for pattern in settings.references.split(",") if pattern.strip()]
    if not patterns:
        patterns = ["env:KITESTRING_CONFIG_*", f"file:{settings.home / 'secrets'}/*"]
    return [] if patterns == ["none"] else patterns


def resolve_config(
    config: Mapping[str, Any], spec: Mapping[str, Any], patterns: Iterable[str]
) -> tuple[dict[str, Any], dict[Place, tuple[str, str]]]:
    """The configuration with its references resolved, and by place the reference and its value."""
    allowed = list(patterns)
    resolved: dict[Place, tuple[str, str]] = {}
    out = copy.deepcopy(dict(config))
    unset: dict[str, ConfigError] = {}
    for place in dict.fromkeys(secret_places(config, spec)):
        reference = value_at(config, place)
        if not is_reference(reference):
            continue
        try:
            value = resolve(reference, allowed)
        except ConfigError as error:
            unset[reference] = error
            continue
        resolved[place] = (reference, value)
        value_at(out, place[:-1])[place[-1]] = value
    if len(unset) > 1:
        hints = dict.fromkeys(error.hint for error in unset.values())
        raise ConfigError("; ".join(error.message for error in unset.values()), hint=" ".join(hints))
    for single in unset.values():
        raise single
    return out, resolved


def restore_references(config: Mapping[str, Any], resolved: Mapping[Place, tuple[str, str]]) -> dict[str, Any]:
    """A configuration that a connector has changed, with the references again where their values are still the same."""
    out = copy.deepcopy(dict(config))
    for place, (reference, value) in resolved.items():
        try:
            if value_at(out, place) == value:
                value_at(out, place[:-1])[place[-1]] = reference
        except (KeyError, IndexError, TypeError):
            continue
    return out


def resolve(reference: str, allowed: Iterable[str]) -> str:
    """The secret that a reference names. `ConfigError` where it may not be used, or leads nowhere."""
    match = REFERENCE.fullmatch(reference)
    assert match is not None
    kind, name = match[1], match[2]
    if kind not in KINDS:
        raise ConfigError(f"{reference} is an unknown reference", hint=f"Known are: {', '.join(sorted(KINDS))}.")
    if kind == "vault" and (set(name.split("#")[0].split("/")) & {"", ".", ".."} or "%" in name or "?" in name):
        raise ConfigError(f"{reference} is not a path of Vault's", hint="Write ${vault:secret/data/NAME#FIELD}.")
    if kind == "file":
        # Of the file itself: neither `..` nor a link leads out of what is allowed.
        name = os.path.realpath(name)
    if not any(matches_pattern(kind, name, pattern) for pattern in allowed) or name in FORBIDDEN:
        raise ConfigError(
            f"the configuration refers to {reference}, and this server does not let connectors use it",
            hint=f"Its operator can allow it: KITESTRING_REFERENCES={kind}:{match[2]}",
        )
    return KINDS[kind](name)


def matches_pattern(kind: str, name: str, pattern: str) -> bool:
    """Whether a pattern allows a name. `*` in a path stops at no slash."""
    other, _, allowed = pattern.partition(":")
    if other != kind:
        return False
    if kind == "file":
        folder, star, rest = allowed.partition("*")
        allowed = os.path.realpath(folder) + ("/" if folder.endswith("/") else "") + star + rest
    return fnmatch.fnmatchcase(name, allowed)


def of_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(
            f"the configuration refers to the variable {name}, and it is not set", hint="Set it where the workers run."
        )
    return value


def of_file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            raw = file.read(LONGEST_FILE + 1)
        if len(raw) > LONGEST_FILE:
            raise ConfigError(f"the file {name} has more than {LONGEST_FILE} bytes", hint="It should hold one secret.")
        return raw.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"the configuration refers to the file {name}, and it cannot be read: {reason}",
            hint="Put it where the workers run, readable for them.",
        ) from error


def of_vault(name: str) -> str:
    """HashiCorp Vault (and OpenBao): `${vault:secret/data/zendesk#token}`, at VAULT_ADDR with VAULT_TOKEN.

    The path is that of the HTTP API; both versions of the key-value engine answer. `VAULT_NAMESPACE` is sent along.
    https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2
    """
    from kitestring.http import Session

    path, _, name_of_field = name.partition("#")
    address, token = os.environ.get("VAULT_ADDR"), os.environ.get("VAULT_TOKEN")
    if not address or not token:
        raise ConfigError(
            "the configuration refers to Vault, and VAULT_ADDR or VAULT_TOKEN is not set",
            hint="Set both where the workers run.",
        )
    headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
    if os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = os.environ["VAULT_NAMESPACE"]
    with Session(base_url=f"{address.rstrip('/')}/v1", headers=headers, secrets=[token], timeout_s=15) as http:
        try:
            answer = http.get(path)
        except AuthError as error:
            raise ConfigError(
                f"Vault does not let the server read {path}", hint="Check VAULT_TOKEN and its policy."
            ) from error
        except ConfigError as error:
            raise ConfigError(f"Vault has no secret {path}: {error.message}", hint="Check the path.") from error
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if isinstance(data, Mapping) and isinstance(data.get("data"), Mapping) and "metadata" in data:
        data = data["data"]
    if not isinstance(data, Mapping) or not data:
        raise ConfigError(f"Vault's answer for {path} holds no data", hint="Check the path; version 2 has data/ in it.")
    if not name_of_field and len(data) == 1:
        name_of_field = next(iter(data))
    if name_of_field not in data:
        raise ConfigError(
            f"Vault's secret {path} has no field {name_of_field or '(none named)'}",
            hint=f"Write ${{vault:{path}#FIELD}} with one of: {', '.join(map(str, data))}.",
        )
    return str(data[name_of_field])


KINDS: Mapping[str, Callable[[str], str]] = {
    "env": of_environment,
    "file": of_file,
    "vault": of_vault,
    "aws": cloud.of_aws,
    "gcp": cloud.of_gcp,
    "azure": cloud.of_azure,
}
