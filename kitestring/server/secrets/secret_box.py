"""Encryption of secrets at rest: AES-GCM, field by field, as a connector's form marks them.

A sealed value is the text `sealed:1:KEY:NONCE+CIPHERTEXT` (base64url), where KEY names the key it was sealed with and
the associated data is the id of its owner, so that a sealed text that is copied to another row does not open there.
A number is sealed as `sealed:1j:…` and comes back as a number. References (`${env:NAME}`, `${file:PATH}`, …) are kept
as they are and looked up when a connector is built: see `references.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kitestring.config import Place, secret_places
from kitestring.errors import ConfigError
from kitestring.redact import MASK

MARK = "sealed:1:"
MARK_JSON = "sealed:1j:"
REFERENCE = re.compile(r"\$\{([a-z]+):([^{}]+)\}")
"""A secret that is kept elsewhere: which kind of place, and where in it."""
KEY_FILE = "secret.key"


class SecretBox:
    """Seals with its first key and opens with any. A key is 32 bytes."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys = {key_name(key): key for key in keys}
        if not self.keys or any(len(key) != 32 for key in self.keys.values()):
            raise ConfigError(
                "the key that encrypts secrets does not have 32 bytes",
                hint="Set KITESTRING_SECRET_KEY to 32 bytes in base64.",
            )
        self.current = next(iter(self.keys))

    @classmethod
    def of(cls, secret_key: str, home: Path) -> SecretBox:
        """From the setting (keys in base64, separated by commas, the current one first) or the file in the data folder.

        The file is made, with a new key and for its owner alone, where there is neither.
        """
        keys = [key for key in secret_key.split(",") if key.strip()]
        if not keys:
            keys = key_file(home).split(",")
        try:
            return cls(base64.b64decode(key.strip(), validate=True) for key in keys)
        except ValueError:
            raise ConfigError(
                "the key that encrypts secrets is not base64", hint="Set KITESTRING_SECRET_KEY to 32 bytes in base64."
            ) from None

    def seal(self, value: str | int | float, owner: str) -> str:
        """One secret, sealed for its owner."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        mark, text = (MARK, value) if isinstance(value, str) else (MARK_JSON, json.dumps(value))
        nonce = os.urandom(12)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, text.encode(), owner.encode())
        return f"{mark}{self.current}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, owner: str) -> Any:
        """The secret again. `ConfigError` where the key is missing or the text was changed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        name, _, body = sealed.removeprefix(MARK).removeprefix(MARK_JSON).partition(":")
        key = self.keys.get(name)
        if key is None:
            raise ConfigError(
                f"a secret was encrypted with the key {name[:8]}, and the server does not have it",
                hint="Add that key to KITESTRING_SECRET_KEY, behind the current one, or enter the secret again.",
            )
        try:
            raw = base64.urlsafe_b64decode(body)
            text = AESGCM(key).decrypt(raw[:12], raw[12:], owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise ConfigError(
                "a stored secret cannot be opened: it was changed, or copied from elsewhere",
                hint="Enter the secret again.",
            ) from None
        return json.loads(text) if sealed.startswith(MARK_JSON) else text

    def digest(self, data: bytes) -> str:
        """A keyed digest: equal data have equal ones, and nobody without the key can try out what was digested.

        With the oldest key, so that a new one in front of it changes no digest.
        """
        name, key = list(self.keys.items())[-1]
        derived = hmac.new(key, b"kitestring digests", hashlib.sha256).digest()
        return f"{name}:{hmac.new(derived, data, hashlib.sha256).hexdigest()}"

    def seal_config(self, config: Mapping[str, Any], spec: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """A configuration with every secret sealed that is not sealed yet and is no reference.

        `ConfigError` for a text that claims to be sealed and is not its owner's, and for a mask in place of a secret.
        """

        def seal(value: Any) -> Any:
            if value == MASK:
                raise ConfigError(
                    "a secret is masked, and no earlier secret is stored that the mask could represent",
                    hint="Enter the secret.",
                )
            return value if is_sealed(value) or is_reference(value) or value == "" else self.seal(value, owner)

        def genuine(node: Any) -> Any:
            if is_sealed(node):
                self.open(node, owner)
            return node

        return dict(each_leaf(each_secret(config, spec, seal), genuine))

    def open_config(self, config: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """A configuration with every sealed text opened, at any depth. References stay."""
        return dict(each_leaf(config, lambda node: self.open(node, owner) if is_sealed(node) else node))

    def keep_sealed(self, config: Mapping[str, Any], stored: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """`config` with every text sealed that is sealed in `stored` and is the same.

        A secret stays one, whatever the form says now: its mask comes back from a reader who never knew it, and a form
        may be of a low-code source that the same reader has changed.
        """

        def walk(node: Any, before: Any) -> Any:
            if is_sealed(before):
                return before if not is_sealed(node) and node == self.open(before, owner) else node
            if isinstance(node, Mapping) and isinstance(before, Mapping):
                return {key: walk(value, before.get(key)) for key, value in node.items()}
            if isinstance(node, list) and isinstance(before, list):
                return [*map(walk, node, before), *node[len(before) :]]
            return node

        return dict(walk(config, stored))

    def rotate(self, config: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """A configuration sealed with the current key, from whichever it was sealed with."""

        def reseal(node: Any) -> Any:
            if not is_sealed(node) or node.split(":")[2] == self.current:
                return node
            return self.seal(self.open(node, owner), owner)

        return dict(each_leaf(config, reseal))


def mask_config(config: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration for an answer: secrets and sealed texts masked, references as they are."""
    masked = each_secret(config, spec, lambda value: value if is_reference(value) or value == "" else MASK)
    return dict(each_leaf(masked, lambda node: MASK if is_sealed(node) else node))


def restore_masked(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that came back from a reader: where it holds the mask, the value that was there before."""

    def walk(node: Any, before: Any) -> Any:
        if isinstance(node, Mapping):
            return {k: walk(v, before.get(k) if isinstance(before, Mapping) else None) for k, v in node.items()}
        if isinstance(node, list):
            return [
                walk(v, before[n] if isinstance(before, list) and n < len(before) else None) for n, v in enumerate(node)
            ]
        return before if node == MASK and before is not None else node

    return dict(walk(new, old))


def each_secret(values: Any, schema: Mapping[str, Any], change: Callable[[Any], Any]) -> Any:
    """`values` with each text and number that `schema` marks as a secret changed; all else untouched."""
    places = set(secret_places(values, schema))

    def walk(node: Any, at: Place) -> Any:
        if at in places:
            return change(node)
        if isinstance(node, Mapping):
            return {k: walk(v, (*at, k)) for k, v in node.items()}
        if isinstance(node, list):
            return [walk(v, (*at, n)) for n, v in enumerate(node)]
        return node

    return walk(values, ())


def each_leaf(node: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a JSON value with everything in it that is neither object nor list changed."""
    if isinstance(node, Mapping):
        return {k: each_leaf(v, change) for k, v in node.items()}
    if isinstance(node, list):
        return [each_leaf(v, change) for v in node]
    return change(node)


def is_sealed(value: Any) -> bool:
    """Whether a value is a sealed text."""
    return isinstance(value, str) and value.startswith((MARK, MARK_JSON))


def is_reference(value: Any) -> bool:
    """Whether a text is a reference to a secret elsewhere: `${env:NAME}`."""
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None


def key_name(key: bytes) -> str:
    """The name of a key in a sealed text: eight hex digits of its hash."""
    return hashlib.sha256(b"kitestring key " + key).hexdigest()[:8]


def new_key() -> str:
    """A new key, as the setting and the file have it."""
    return base64.b64encode(os.urandom(32)).decode()


def key_file(home: Path) -> str:
    path = home / KEY_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                raise ConfigError(
                    f"others than its owner can read {path}, which encrypts the secrets", hint=f"chmod 600 {path}"
                ) from None
            return path.read_text("ascii").strip()
        with os.fdopen(descriptor, "w") as file:
            key = new_key()
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        return key
    except OSError as error:
        raise ConfigError(
            f"the key that encrypts secrets cannot be kept in {path}: {error.strerror}",
            hint="Make the data folder writable, or set KITESTRING_SECRET_KEY.",
        ) from error
