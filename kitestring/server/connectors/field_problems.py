"""Which options of a configuration an error is about, so that a form shows its sentence there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError

HOST_NAMES = ("host", "base_url", "url", "subdomain", "domain", "site", "shop", "endpoint", "uri", "address", "server")
"""Options that say where a service is, by their names."""
VAGUE = frozenset({"name", "type", "mode", "limit", "scope", "schema", "stream", "streams", "table", "tables"})
"""Names that are words of many messages."""


@dataclass(frozen=True)
class Option:
    """An option of a form, with its value in a configuration."""

    path: str
    schema: Mapping[str, Any]
    value: Any

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def secret(self) -> bool:
        return bool(self.schema.get("airbyte_secret"))


def field_problems(error: KitestringError, spec: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """By path (`credentials.api_token`), what is wrong there; empty where the error is about none or nobody can tell.

    In this order: what the error says itself (`problems`, `option`); the options that its hint names; the credentials,
    where they were refused; the address, where it was not reached; the option that the message names.
    """
    problems = error.fields.get("problems")
    if isinstance(problems, Mapping):
        return {str(path): sentence(str(problem)) for path, problem in problems.items()}
    options = list(options_in(spec, config))
    root = str(error.fields.get("option") or "")
    inside = [option for option in options if not root or f"{option.path}.".startswith(f"{root}.")]
    for candidates in (
        [option for option in options if option.path == root],
        named_in_hint(error, inside),
        refused_credentials(error, inside),
        unreached_address(error, inside),
        named_in_message(error, inside),
    ):
        if candidates:
            return {candidates[0].path: sentence(error.message)}
    return {}


def options_in(schema: Mapping[str, Any], config: Any, path: str = "") -> Iterator[Option]:
    """The options of a form without inner ones; of a choice those of the branch that the configuration has."""
    branches = [branch for branch in schema.get("oneOf") or schema.get("anyOf") or () if isinstance(branch, Mapping)]
    for branch in [branch for branch in branches if fits(branch, config)][:1]:
        yield from options_in(branch, config, path)
    for name, child in (schema.get("properties") or {}).items():
        if not isinstance(child, Mapping) or "const" in child:
            continue
        place = f"{path}.{name}" if path else str(name)
        value = config.get(name) if isinstance(config, Mapping) else None
        inner = list(options_in(child, value, place))
        yield from inner or [Option(place, child, value)]


def fits(branch: Mapping[str, Any], config: Any) -> bool:
    """Whether a configuration has the constants of a branch."""
    constants = {
        name: child["const"]
        for name, child in (branch.get("properties") or {}).items()
        if isinstance(child, Mapping) and "const" in child
    }
    return isinstance(config, Mapping) and all(config.get(name) == value for name, value in constants.items())


def named_in_hint(error: KitestringError, options: list[Option]) -> list[Option]:
    """The options that a hint names: in backticks, or by their whole path. Secrets first where they were refused."""
    quoted = set(re.findall(r"`([\w.]+)`", error.hint))
    dotted = set(re.findall(r"\b\w+(?:\.\w+)+\b", error.hint))
    named = [
        option
        for option in options
        if option.name in quoted or any(f"{option.path}.".startswith(f"{name}.") for name in quoted | dotted)
    ]
    return sorted(named, key=lambda option: not option.secret) if isinstance(error, AuthError) else named


def refused_credentials(error: KitestringError, options: list[Option]) -> list[Option]:
    """The secret that was refused: a token or a password before what only belongs to it."""
    if not isinstance(error, AuthError):
        return []
    secrets = [option for option in options if option.secret]
    filled = [option for option in secrets if option.value not in (None, "")] or secrets
    return sorted(filled, key=lambda option: option.name in ("client_id", "refresh_token"))


def unreached_address(error: KitestringError, options: list[Option]) -> list[Option]:
    """The option that names the host of the error."""
    about_host = isinstance(error, TransientError) or error.fields.get("status") in (404, 410)
    if not isinstance(error, ConfigError | TransientError) or not (about_host or "host" in error.fields):
        return []
    text = f"{error.fields.get('host') or ''} {error.message}".lower()
    texts = [option for option in options if isinstance(option.value, str) and not option.secret and option.value]
    places = [option for option in texts if option.name in HOST_NAMES or option.name.endswith(("_host", "_url"))]
    return [option for option in places if host_of(str(option.value)) in text]


def host_of(value: str) -> str:
    """The host in an address, or the text itself."""
    with_scheme = value if "://" in value else f"//{value}"
    try:
        return urlsplit(with_scheme).hostname or value.lower()
    except ValueError:
        return value.lower()


def named_in_message(error: KitestringError, options: list[Option]) -> list[Option]:
    """The options whose names or titles are in the message of a connector that tells nothing else; secrets first."""
    text = f" {' '.join(re.findall(r'[a-z0-9]+', error.message.lower().replace('_', ' ')))} "
    named = [
        (option, max(len(words) for words in names))
        for option in options
        if option.name not in VAGUE
        and (names := [words for words in words_of(option) if len(words) > 3 and f" {words} " in text])
    ]
    return [option for option, _ in sorted(named, key=lambda pair: (not pair[0].secret, -pair[1]))]


def words_of(option: Option) -> list[str]:
    texts = (option.name.replace("_", " "), str(option.schema.get("title") or ""))
    return [" ".join(re.findall(r"[a-z0-9]+", text.lower())) for text in texts]


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
