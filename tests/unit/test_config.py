"""Secrets in objects whose fields nobody declared are found by the patterns of their names."""

from __future__ import annotations

import pytest

from kitestring.airbyte.program import by_name
from kitestring.config import masked, secrets_in
from kitestring.redact import MASK


def test_secrets_are_found_by_pattern_at_any_depth() -> None:
    values = {
        "client_secret": "one",
        "credentials": {"auth_type": "oauth", "refresh_token": "two", "deep": {"list": [{"api_key": "three"}]}},
        "keywords": "plain",
        "start": "2026-01-01",
        "private_key": {"pem": "four"},
    }
    assert set(secrets_in(values, by_name())) == {"one", "two", "three", "four"}
    displayed = masked(values, by_name())
    assert displayed["credentials"] == {
        "auth_type": "oauth",
        "refresh_token": MASK,
        "deep": {"list": [{"api_key": MASK}]},
    }
    assert displayed["keywords"] == "plain"


def test_a_declared_field_is_what_its_declaration_says() -> None:
    schema = {
        "properties": {"token": {"type": "string"}},
        "patternProperties": {"token": {"airbyte_secret": True}},
        "additionalProperties": False,
    }
    assert list(secrets_in({"token": "shown", "token_two": "hidden", "other": "shown"}, schema)) == ["hidden"]


def test_a_renewed_token_that_no_form_asks_for_is_a_secret() -> None:
    form = {
        "properties": {"secret": {"type": "string"}, "credentials": {"oneOf": [{"properties": {"kind": {}}}]}},
        "additionalProperties": True,
    }
    values = {
        "secret": "a declared word",
        "credentials": {"kind": "oauth", "refresh_token": "two", "token_expiry_date": "2026-01-01"},
        "renewed": {"access_token": "three"},
    }
    assert set(secrets_in(values, form)) == {"two", "three"}


def test_the_old_name_of_choice_still_works_and_warns():
    import kitestring
    from kitestring import config

    with pytest.warns(DeprecationWarning, match="kitestring.choice"):
        assert kitestring.one_of is config.choice
    with pytest.warns(DeprecationWarning, match="is now choice"):
        assert config.one_of is config.choice
