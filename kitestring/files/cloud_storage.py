"""The object stores that need only an address and keys of the configuration, and nothing of this machine.

Other file systems of fsspec use the machine: `local://` its files, `sftp://` its keys, `simplecache::` its disk,
`reference://` a file that names others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cloud:
    """An object store. `keys`: sets of options, each of which is a whole credential. `options`: the harmless others."""

    keys: tuple[frozenset[str], ...]
    options: frozenset[str]


S3 = Cloud(
    keys=(frozenset({"key", "secret"}), frozenset({"anon"})),
    options=frozenset({"token", "endpoint_url", "use_ssl", "default_block_size", "version_aware", "cache_regions"}),
)
"""https://s3fs.readthedocs.io/en/latest/api.html; `profile` and `session` are credentials of the machine."""
GOOGLE = Cloud(keys=(frozenset({"token"}),), options=frozenset({"project", "endpoint_url", "location", "block_size"}))
"""https://gcsfs.readthedocs.io/en/latest/api.html; a token that is not an object is a file or a login method."""
AZURE = Cloud(
    keys=(
        frozenset({"account_name", "account_key"}),
        frozenset({"account_name", "sas_token"}),
        frozenset({"connection_string"}),
        frozenset({"account_name", "tenant_id", "client_id", "client_secret"}),
    ),
    options=frozenset({"account_host", "location_mode", "blocksize", "assume_container_exists"}),
)
"""https://github.com/fsspec/adlfs#setting-credentials"""
CLOUDS: Mapping[str, Cloud] = {
    **dict.fromkeys(("s3", "s3a"), S3),
    **dict.fromkeys(("gs", "gcs"), GOOGLE),
    **dict.fromkeys(("abfs", "abfss", "az", "adl"), AZURE),
}
CLIENT = frozenset({"endpoint_url", "region_name", "use_ssl", "verify", "api_version"})
"""The allowed `client_kwargs` of S3; a `verify` that is a text is a file."""
TOKENS = frozenset({"service_account", "authorized_user"})
"""Types of Google's credentials that hold a key. Others name a file or a program that provides one."""


def machine_use(path: str, options: Mapping[str, Any]) -> str | None:
    """The resources of this machine that the address and its storage options would use; None for none."""
    scheme = path.partition("://")[0].lower()
    if "::" in path or scheme not in CLOUDS:
        return f"a file system of the kind {scheme}://, which uses files or keys of the machine"
    cloud = CLOUDS[scheme]
    credentials = {name for keys in cloud.keys for name in keys}
    for name, value in options.items():
        if name == "client_kwargs" and cloud is S3:
            if not isinstance(value, Mapping) or set(value) - CLIENT or isinstance(value.get("verify"), str):
                return "storage_options.client_kwargs, of which only " + ", ".join(sorted(CLIENT)) + " are not"
        elif name not in cloud.options | credentials:
            return f"storage_options.{name}, which can name files or credentials of the machine"
    if cloud is GOOGLE:
        token = options.get("token")
        own = token == "anon" or (isinstance(token, Mapping) and token.get("type") in TOKENS)  # noqa: S105
    else:
        own = any(all(options.get(name) for name in keys) for keys in cloud.keys)
    return None if own else "the credentials of the machine, as storage_options hold none"
