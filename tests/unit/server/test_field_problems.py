"""An error of a test names the field of the form that it is about."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.server.connectors import definitions
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.connectors.field_problems import field_problems

ZENDESK = {"subdomain": "acme", "credentials": {"credentials": "api_token", "email": "a@b.c", "api_token": "t"}}
POSTGRES = {"host": "db.internal", "port": 5432, "database": "shop", "username": "u", "password": "p"}
MILVUS = {
    "indexing": {"host": "http://milvus:19530", "collection": "c", "auth": {"mode": "token", "token": "t"}},
    "embedding": {"mode": "openai", "openai_key": "k"},
    "processing": {"text_fields": ["a"]},
}


@pytest.mark.parametrize(
    ("kind", "connector", "config", "error", "path"),
    [
        ("source", "zendesk-support", ZENDESK, AuthError("GET https://acme.zendesk.com answered 401"),
         "credentials.api_token"),
        ("source", "zendesk-support", ZENDESK, TransientError("the host acme.zendesk.com is not known",
         host="acme.zendesk.com"), "subdomain"),
        ("source", "postgres", POSTGRES, AuthError("refuses the password of u",
         hint="Check `username` and `password`."), "password"),
        ("source", "postgres", POSTGRES, ConfigError("no such host", hint="Check `host`."), "host"),
        ("destination", "milvus", MILVUS, AuthError("POST https://api.openai.com/v1/embeddings answered 401",
         option="embedding"), "embedding.openai_key"),
        ("destination", "milvus", MILVUS, AuthError("refused the credentials", hint="Check indexing.auth.",
         option="indexing"), "indexing.auth.token"),
        ("destination", "milvus", MILVUS, ConfigError("has no database of this name", hint="Correct indexing.db."),
         "indexing.db"),
        ("source", "github", {"credentials": {"option_title": "PAT Credentials", "personal_access_token": "x"}},
         ConfigError("the personal access token has expired"), "credentials.personal_access_token"),
        ("source", "postgres", POSTGRES, ConfigError("the disk is full", hint="Free some space."), None),
    ],
)  # fmt: skip
def test_an_error_is_at_the_field_that_it_names_or_refuses(
    kind: Any, connector: str, config: dict[str, Any], error: KitestringError, path: str | None
) -> None:
    spec = definitions.spec_of(definitions.of_type(kind, connector))
    problems = field_problems(error, spec, config)
    assert list(problems) == ([path] if path else [])
    assert all(text == error.message[:1].upper() + error.message[1:] for text in problems.values())


@pytest.mark.parametrize(
    ("kind", "connector", "config", "problems"),
    [
        ("source", "zendesk-support", {"subdomain": "", "credentials": {"credentials": "api_token", "email": "x"}},
         {"subdomain": "Should have the form acme, or acme.zendesk.com", "credentials.api_token": "Is missing"}),
        ("source", "zendesk-support", {"subdomain": "a", "credentials": {"credentials": "api-token"}},
         {"credentials.credentials": "Should be one of client_credentials, oauth2.0, api_token, oauth2_refresh; "
          "did you mean api_token?"}),
        ("destination", "milvus", {"indexing": {"host": "x", "collection": "a"}, "processing": {"chunk_size": -1},
         "embedding": {"mode": "openai"}},
         {"processing.chunk_size": "Should be greater than or equal to 1", "embedding.openai_key": "Is missing",
          "indexing.host": "Write http://host:port or https://host, or a path that ends in .db for Milvus Lite"}),
    ],
)  # fmt: skip
def test_what_a_connector_refuses_is_at_each_field_without_the_names_of_branches(
    kind: Any, connector: str, config: dict[str, Any], problems: dict[str, str]
) -> None:
    definition = definitions.of_type(kind, connector)
    with pytest.raises(ConfigError) as caught:
        definitions.build(definition, config, Confinement())
    assert field_problems(caught.value, definitions.spec_of(definition), config) == problems
