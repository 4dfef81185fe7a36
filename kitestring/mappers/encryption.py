"""Encrypts values for the mapper `encryption`: AES in six modes, RSA with a public key, both written in hex.

AES: a random IV of 16 bytes, the ciphertext, and with GCM its tag of 16 bytes. RSA: padding PKCS #1 v1.5.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from kitestring.errors import ConfigError, RecordError
from kitestring.mappers.mapper_settings import Aes, Rsa

BLOCK = 16


def encryptor(mapper: Aes | Rsa, stream: str) -> Callable[[bytes], str]:
    """The function that encrypts one value. `ConfigError` where the key cannot be used."""
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the mapper encryption of {stream} needs the package cryptography, which is not installed",
            hint="pip install 'kitestring[encryption]'",
        ) from error
    return aes(mapper) if isinstance(mapper, Aes) else rsa(mapper, stream)


def aes(mapper: Aes) -> Callable[[bytes], str]:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    old: Any = modes
    with suppress(ImportError):  # where cryptography keeps deprecated modes
        old = import_module("cryptography.hazmat.decrepit.ciphers.modes")
    key = algorithms.AES(bytes.fromhex(mapper.key))
    kinds: dict[str, Any] = {
        "CBC": modes.CBC, "CTR": modes.CTR, "GCM": modes.GCM,
        "CFB": getattr(old, "CFB", None) or modes.CFB, "OFB": getattr(old, "OFB", None) or modes.OFB,
    }  # fmt: skip
    mode, pads = mapper.mode, mapper.padding == "PKCS5Padding"
    whole = mode in ("CBC", "ECB")

    def encrypt(value: bytes) -> str:
        if pads:
            fill = BLOCK - len(value) % BLOCK
            value += bytes([fill]) * fill
        elif whole and len(value) % BLOCK:
            raise RecordError(f"{len(value)} bytes are not whole blocks of {BLOCK}, as {mode} without padding needs")
        iv = b"" if mode == "ECB" else os.urandom(BLOCK)
        run: Any = Cipher(key, modes.ECB() if mode == "ECB" else kinds[mode](iv)).encryptor()  # noqa: S305 - as asked for
        sealed: bytes = run.update(value) + run.finalize()
        tag: bytes = run.tag if mode == "GCM" else b""
        return (iv + sealed + tag).hex()

    return encrypt


def rsa(mapper: Rsa, stream: str) -> Callable[[bytes], str]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    text = mapper.public_key.strip()
    key: Any = None
    with suppress(ValueError, UnsupportedAlgorithm):
        pem = text.startswith("-----")
        key = load_pem_public_key(text.encode()) if pem else load_der_public_key(bytes.fromhex(text))
    if not isinstance(key, RSAPublicKey):
        raise ConfigError(
            f"the public key of the mapper encryption of {stream} is not an RSA key in DER as hex, and none in PEM",
            hint="openssl pkey -pubin -in key.pem -outform DER | xxd -p -c 0",
        )
    most = key.key_size // 8 - 11
    padding = PKCS1v15()

    def encrypt(value: bytes) -> str:
        if len(value) > most:
            raise RecordError(f"{len(value)} bytes are more than the {most} that this RSA key can encrypt")
        sealed: bytes = key.encrypt(value, padding)
        return sealed.hex()

    return encrypt
