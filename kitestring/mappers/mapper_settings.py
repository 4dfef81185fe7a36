"""Settings of mappers: changes to the records of a stream between the source and the destination.

The five kinds and their settings are Airbyte's (`ConfiguredStreamMapper` of its public API): in snake case in a
project file (`target_field`), in Airbyte's spelling in its API (`targetField` inside `mapperConfiguration`).
`kitestring.mappers.apply` carries them out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from kitestring.config import Config, option, secret
from kitestring.errors import ConfigError

KINDS = ("hashing", "field-renaming", "field-filtering", "row-filtering", "encryption")
DEEPEST = 40
REFERENCE = re.compile(r"\$\{[^{}]+\}")


class Hashing(Config):
    """Puts the hash of a field in its place, in lower-case hex."""

    type: Literal["hashing"]
    target_field: str = option(min_length=1)
    """The field to hash."""
    method: Literal["MD2", "MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"] = "SHA-256"
    """The algorithm. MD2 is refused: no library has it any more."""
    field_name_suffix: str = ""
    """Put behind the field's name."""

    @field_validator("method")
    @classmethod
    def _supported(cls, method: str) -> str:
        if method == "MD2":
            raise ValueError("MD2 is insecure and not supported: use SHA-256")
        return method


class FieldRenaming(Config):
    """Gives a field another name."""

    type: Literal["field-renaming"]
    original_field_name: str = option(min_length=1)
    """The name in the source (or what an earlier mapper has made of it)."""
    new_field_name: str = option(min_length=1)
    """The name in the destination."""


class FieldFiltering(Config):
    """Leaves a field out."""

    type: Literal["field-filtering"]
    target_field: str = option(min_length=1)
    """The field to leave out."""


class Equal(Config):
    """True where a field, as text, is this value."""

    type: Literal["EQUAL"]
    field_name: str = option(min_length=1)
    """The field to compare. Where it is missing or null the condition is false."""
    comparison_value: str
    """The value, as text: `true`, `42`."""


class Several(Config):
    """NOT: none of the conditions is true. AND: all are. OR: one is."""

    type: Literal["NOT", "AND", "OR"]
    conditions: list[Any] = option(min_length=1)
    """The combined conditions, of any depth."""

    @field_validator("conditions")
    @classmethod
    def _each(cls, conditions: list[Any]) -> list[Any]:
        # Not by the type: a form that holds itself cannot be written out.
        try:
            return [TypeAdapter[Any](Condition).validate_python(condition) for condition in conditions]
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'a condition'}: {first['msg']}") from None


Condition = Annotated[Equal | Several, Field(discriminator="type")]


class RowFiltering(Config):
    """Keeps the records for which the conditions are true."""

    type: Literal["row-filtering"]
    conditions: Condition
    """EQUAL, or NOT, AND, OR over several."""


class Aes(Config):
    """Puts the AES encryption of a field in its place: a random IV of 16 bytes and the ciphertext, in hex."""

    type: Literal["encryption"]
    algorithm: Literal["AES"]
    target_field: str = option(min_length=1)
    """The field to encrypt."""
    field_name_suffix: str = ""
    """Put behind the field's name."""
    key: str = secret()
    """16, 24 or 32 bytes in hex."""
    mode: Literal["CBC", "CFB", "OFB", "CTR", "GCM", "ECB"] = "GCM"
    """The mode of operation. ECB has no IV: equal values stay equal."""
    padding: Literal["NoPadding", "PKCS5Padding"] = "NoPadding"
    """The padding to whole blocks; CBC and ECB need it."""

    @field_validator("key")
    @classmethod
    def _hex(cls, key: str) -> str:
        if not REFERENCE.fullmatch(key) and not re.fullmatch(
            r"(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{48}|[0-9A-Fa-f]{64})", key
        ):
            raise ValueError("the key should be 16, 24 or 32 bytes in hex (openssl rand -hex 32)")
        return key

    @model_validator(mode="after")
    def _padded(self) -> Aes:
        if self.padding == "PKCS5Padding" and self.mode in ("CTR", "GCM"):
            raise ValueError(f"the mode {self.mode} takes no padding: write NoPadding")
        return self


class Rsa(Config):
    """Puts the RSA encryption (PKCS #1 v1.5) of a field in its place, in hex; for short values only."""

    type: Literal["encryption"]
    algorithm: Literal["RSA"]
    target_field: str = option(min_length=1)
    """The field to encrypt."""
    field_name_suffix: str = ""
    """Put behind the field's name."""
    public_key: str = option(min_length=1)
    """The public key: X.509 (SubjectPublicKeyInfo) in DER as hex, or PEM."""


Encryption = Annotated[Aes | Rsa, Field(discriminator="algorithm")]
Mapper = Annotated[
    Hashing | FieldRenaming | FieldFiltering | RowFiltering | Encryption,
    Field(discriminator="type"),
]


def load(values: Any, stream: str) -> list[Any]:
    """Mappers from plain values (`{"type": "hashing", "target_field": …}`). `ConfigError` names mapper and fault,
    and never shows a value."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ConfigError(f"the mappers of {stream} are not a list", hint="Write a list of mappers.")
    return [parse_mapper(value, number, stream) for number, value in enumerate(values, 1)]


def is_deep(node: Any, most: int = DEEPEST) -> bool:
    """True for a JSON value with more levels than conditions may have."""
    inner = node.values() if isinstance(node, Mapping) else node if isinstance(node, list | tuple) else ()
    return any(most == 0 or is_deep(value, most - 1) for value in inner)


def parse_mapper(value: Any, number: int, stream: str) -> Any:
    if is_deep(value):
        raise ConfigError(
            f"the mapper {number} of {stream} is nested more than {DEEPEST} levels deep",
            hint="Put the conditions side by side in one AND or OR.",
        )
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in KINDS:
        raise ConfigError(
            f"the mapper {number} of {stream} has the unknown type {kind}",
            hint=f"Take one of {', '.join(KINDS)}.",
        )
    try:
        return TypeAdapter[Any](Mapper).validate_python(value)
    except ValidationError as error:
        wrong = []
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            path = [str(part) for part in item["loc"] if part not in (kind, "AES", "RSA", "EQUAL", "NOT", "AND", "OR")]
            message = item["msg"].removeprefix("Value error, ")
            if item["type"] == "missing":
                message = "it is missing"
            elif item["type"] == "extra_forbidden":
                message = "it is not known"
            elif item["type"].startswith("union_tag"):
                message = f"{kind} does not allow this value ({item['msg']})"
            wrong.append(f"{'.'.join(path)}: {message}" if path else message)
        raise ConfigError(
            f"the mapper {number} of {stream} ({kind}) cannot be used: {'; '.join(wrong)}",
            hint="The page of the project file lists what each type takes.",
            stream=stream,
        ) from None


def from_api(mappers: Any, stream: str) -> list[dict[str, Any]]:
    """Mappers of Airbyte's API in snake case. `ConfigError` for a value that is no mapper."""
    settings_list: list[dict[str, Any]] = []
    for number, value in enumerate(mappers, 1):
        if is_deep(value):
            parse_mapper(value, number, stream)
        settings = value.get("mapperConfiguration") if isinstance(value, Mapping) else None
        if not isinstance(settings, Mapping):
            raise ConfigError(
                f"the mapper {number} of {stream} has no mapperConfiguration", hint="Give `type` and its settings."
            )
        settings_list.append({"type": value.get("type"), **respell(settings, snake)})
    return settings_list


def to_api(mappers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mappers in Airbyte's spelling."""
    return [
        {
            "type": value["type"],
            "mapperConfiguration": respell({key: setting for key, setting in value.items() if key != "type"}, camel),
        }
        for value in mappers
    ]


def respell(node: Any, rename: Any) -> Any:
    """A JSON value with its keys in another spelling."""
    if isinstance(node, Mapping):
        return {rename(str(key)): respell(value, rename) for key, value in node.items() if value is not None}
    return [respell(value, rename) for value in node] if isinstance(node, list | tuple) else node


def snake(name: str) -> str:
    return re.sub(r"(?<!^)[A-Z]", lambda match: f"_{match.group().lower()}", name)


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)
