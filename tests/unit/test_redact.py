"""The redactor hides each part of a secret that is a secret itself."""

from __future__ import annotations

import json

import pytest

from kitestring.redact import MASK, Redactor

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n"
ACCOUNT = {"type": "service_account", "project_id": "shop", "private_key": KEY, "client_email": "sync@shop.example"}


@pytest.mark.parametrize("form", [KEY, json.dumps(KEY)[1:-1]])
def test_the_private_key_in_the_json_of_an_account_is_hidden_alone_too(form: str) -> None:
    redactor = Redactor([json.dumps(ACCOUNT)])
    assert redactor.text(f"the key {form} of sync@shop.example is refused") == (
        f"the key {MASK} of sync@shop.example is refused"
    )


@pytest.mark.parametrize("secret", ["{not json", "{" * 100_000, '{"token": 5, "key": null}', '{"password": "abc"}'])
def test_a_secret_that_only_looks_like_json_is_hidden_as_it_is(secret: str) -> None:
    assert Redactor([secret]).text(f"{secret} abc") == f"{MASK} abc"
