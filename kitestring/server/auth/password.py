"""Passwords: argon2id, slow on purpose, and equally slow for a user who does not exist."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING

from kitestring.errors import ConfigError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 10, 1000
PASSES, MEMORY_KIB, LANES = 3, 65536, 4
"""RFC 9106's second choice. No setting or variable weakens it; the project's tests set smaller numbers here."""
AT_ONCE = threading.BoundedSemaphore(4)
"""Each verification takes 64 MiB: many at once could take a machine's memory."""


def hash_password(password: str) -> str:
    """The text to store. `ConfigError` for a password that is too short to be one, or too long to be typed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(
            f"the password has {len(password)} characters, it needs {SHORTEST} to {LONGEST}",
            hint="Take a longer one; a sentence is good.",
        )
    return _hasher().hash(password)


def verify_password(password: str, stored: str | None) -> bool:
    """Whether this is the password. Without a stored one the time is spent all the same."""
    from argon2.exceptions import Argon2Error, InvalidHashError

    if len(password) > LONGEST:
        return False
    try:
        with AT_ONCE:
            _hasher().verify(stored or _dummy_hash(), password)
    except (Argon2Error, InvalidHashError):
        return False
    return stored is not None


def needs_rehash(stored: str) -> bool:
    """Whether it was made with weaker parameters than today's."""
    return _hasher().check_needs_rehash(stored)


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


@functools.cache
def _dummy_hash() -> str:
    return _hasher().hash(os.urandom(16).hex())
