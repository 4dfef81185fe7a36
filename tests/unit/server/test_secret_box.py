"""Secrets at rest, field by field; references to what is kept elsewhere; another key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kitestring.errors import ConfigError
from kitestring.redact import MASK
from kitestring.server.context import Context
from kitestring.server.secrets import references, rekey
from kitestring.server.secrets.secret_box import SecretBox, is_sealed, mask_config, restore_masked
from kitestring.server.settings import Settings
from kitestring.server.store.tables import oauth_credentials, sources
from kitestring.testing.stand_in import Answer, StandIn, route
from tests.unit.server.tenants import Tenant

SPEC: dict[str, Any] = {
    "properties": {
        "user": {"type": "string"},
        "token": {"type": "string", "airbyte_secret": True},
        "pin": {"type": "integer", "airbyte_secret": True},
        "credentials": {
            "oneOf": [
                {"properties": {"type": {"const": "oauth"}, "key": {"airbyte_secret": True}, "name": {}}},
                {"properties": {"type": {"const": "plain"}, "key": {}, "name": {"airbyte_secret": True}}},
            ]
        },
        "headers": {
            "type": "array",
            "items": {"properties": {"name": {}, "value": {"airbyte_secret": True}}},
        },
        "bag": {"type": "object", "airbyte_secret": True},
    },
    "patternProperties": {"^secret_": {"airbyte_secret": True}},
    "additionalProperties": {"properties": {"inner": {"airbyte_secret": True}}},
}


@pytest.fixture
def secret_box() -> SecretBox:
    return SecretBox([os.urandom(32)])


def test_a_secret_is_sealed_where_it_stands_and_nothing_else_of_the_same_value(secret_box: SecretBox) -> None:
    config = {
        "user": "same",
        "token": "same",
        "pin": 1234,
        "credentials": {"type": "oauth", "key": "same", "name": "same"},
        "headers": [{"name": "same", "value": "same"}, {"name": "b", "value": "c"}],
        "bag": {"a": ["x", {"b": 1.5}]},
        "secret_one": "same",
        "more": {"inner": "same", "outer": "same"},
    }
    sealed = secret_box.seal_config(config, SPEC, "id")
    messages = {
        "user": "same",
        "token": MASK,
        "pin": MASK,
        "credentials": {"type": "oauth", "key": MASK, "name": "same"},
        "headers": [{"name": "same", "value": MASK}, {"name": "b", "value": MASK}],
        "bag": {"a": [MASK, {"b": MASK}]},
        "secret_one": MASK,
        "more": {"inner": MASK, "outer": "same"},
    }
    assert mask_config(sealed, {}) == messages
    assert mask_config(config, SPEC) == messages
    assert secret_box.open_config(sealed, "id") == config
    assert secret_box.seal_config(sealed, SPEC, "id") == sealed


def test_the_branch_that_fits_says_what_is_secret_and_all_do_where_none_fits(secret_box: SecretBox) -> None:
    config = {"credentials": {"type": "plain", "key": "k", "name": "n"}}
    plain = secret_box.seal_config(config, SPEC, "id")["credentials"]
    assert plain["key"] == "k"
    assert is_sealed(plain["name"])
    other = secret_box.seal_config({"credentials": {"key": "k", "name": "n"}}, SPEC, "id")["credentials"]
    assert is_sealed(other["key"])
    assert is_sealed(other["name"])


def test_a_sealed_text_opens_for_its_owner_only(secret_box: SecretBox) -> None:
    sealed = secret_box.seal_config({"token": "t"}, SPEC, "mine")
    with pytest.raises(ConfigError, match="copied"):
        secret_box.open_config(sealed, "yours")
    with pytest.raises(ConfigError, match="copied"):
        secret_box.seal_config({"user": sealed["token"]}, SPEC, "yours")
    with pytest.raises(ConfigError):
        secret_box.seal_config({"user": "sealed:1:nonsense"}, SPEC, "yours")


def test_a_mask_stands_for_what_was_there_and_is_refused_where_nothing_was(secret_box: SecretBox) -> None:
    assert restore_masked({"token": MASK, "user": "b"}, {"token": "t", "user": "a"}) == {"token": "t", "user": "b"}
    with pytest.raises(ConfigError, match="masked"):
        secret_box.seal_config(restore_masked({"token": MASK}, {}), SPEC, "id")


def test_another_key_takes_over_everything_that_is_sealed(context: Context) -> None:
    tenant = Tenant.make(context, "acme")
    spec = {"properties": {"token": {"airbyte_secret": True}}}
    with context.store.write() as db:
        sealed = context.secret_box.seal_config({"token": "t"}, spec, tenant.source_id)
        db.execute(sources.update().where(sources.c.id == tenant.source_id).values(config=sealed))
        client = context.secret_box.seal_config({"token": "c"}, spec, f"{tenant.workspace_id} source zendesk")
        db.execute(
            oauth_credentials.insert().values(
                scope_id=tenant.workspace_id, kind="source", name="zendesk", config=client
            )
        )
    home, old = context.settings.home, context.secret_box.current
    rekey.new_key_file(home)
    both = SecretBox.of("", home)
    assert both.current != old
    assert set(both.keys) == {both.current, old}
    changed = {"sources": 1, "destinations": 0, "oauth_credentials": 1, "workspaces": 0, "builder_projects": 0}
    assert rekey.rotate(context.store, both) == changed
    assert rekey.rotate(context.store, both) == dict.fromkeys(changed, 0)
    alone = SecretBox([both.keys[both.current]])
    with context.store.read() as db:
        stored = db.execute(select(sources.c.config).where(sources.c.id == tenant.source_id)).scalar_one()
    assert alone.open_config(stored, tenant.source_id) == {"token": "t"}


def test_references_are_looked_up_where_a_secret_stands_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITESTRING_CONFIG_TOKEN", "of the environment")
    word = "${env:KITESTRING_CONFIG_TOKEN}"
    config = {"user": word, "token": word, "headers": [{"name": "a", "value": word}]}
    results, places = references.resolve_config(config, SPEC, ["env:KITESTRING_CONFIG_*"])
    assert results == {
        "user": word,
        "token": "of the environment",
        "headers": [{"name": "a", "value": "of the environment"}],
    }
    changed = {**results, "token": "rotated"}
    assert references.restore_references(changed, places) == {**config, "token": "rotated"}


def test_all_references_that_lead_nowhere_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONE", "TWO"):
        monkeypatch.delenv(f"KITESTRING_CONFIG_{name}", raising=False)
    config = {
        "token": "${env:KITESTRING_CONFIG_ONE}",
        "headers": [{"name": "a", "value": "${env:KITESTRING_CONFIG_TWO}"}],
    }
    with pytest.raises(ConfigError, match=r"KITESTRING_CONFIG_ONE, and it is not set; .*KITESTRING_CONFIG_TWO, and"):
        references.resolve_config(config, SPEC, ["env:KITESTRING_CONFIG_*"])


def test_what_a_reference_may_name_is_the_operators_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KITESTRING_SECRET_KEY", "the key")
    monkeypatch.setenv("PATH_OF_OTHERS", "x")
    secrets = tmp_path / "home" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "token").write_text("of a file\n")
    (tmp_path / "home" / "secret.key").write_text("the key")
    (secrets / "link").symlink_to(tmp_path / "home" / "secret.key")
    allowed = references.patterns_of(Settings(home=tmp_path / "home"))
    assert references.resolve(f"${{file:{secrets}/token}}", allowed) == "of a file"
    for refused in (
        "${env:PATH_OF_OTHERS}",
        "${env:HOME}",
        "${file:/etc/hostname}",
        f"${{file:{secrets}/../secret.key}}",
        f"${{file:{secrets}/link}}",
        "${vault:secret/data/x#y}",
        "${aws:x}",
    ):
        with pytest.raises(ConfigError, match=r"does not let|is not a reference"):
            references.resolve(refused, allowed)
    with pytest.raises(ConfigError, match="does not let"):
        references.resolve("${env:KITESTRING_SECRET_KEY}", ["env:*"])
    with pytest.raises(ConfigError, match="does not let"):
        references.resolve("${env:KITESTRING_CONFIG_X}", references.patterns_of(Settings(references="none")))


class HashiCorp(StandIn):
    """Vault's key-value engine, version 2, and one secret of version 1."""

    @route("GET", "/v1/secret/data/zendesk")
    def second(self, call: Any) -> Any:
        if call.headers.get("x-vault-token") != "root-token":
            return Answer(403, {"errors": ["permission denied"]})
        return {"data": {"data": {"token": "of the vault", "other": "o"}, "metadata": {"version": 3}}}

    @route("GET", "/v1/kv/old")
    def first(self, call: Any) -> Any:
        return {"data": {"value": "of version 1"}}


def test_hashicorp_vault_is_asked_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with HashiCorp() as secret_box:
        monkeypatch.setenv("VAULT_ADDR", secret_box.url)
        monkeypatch.setenv("VAULT_TOKEN", "root-token")
        allowed = ["vault:secret/data/*", "vault:kv/*"]
        assert references.resolve("${vault:secret/data/zendesk#token}", allowed) == "of the vault"
        assert references.resolve("${vault:kv/old}", allowed) == "of version 1"
        with pytest.raises(ConfigError, match="no field") as caught:
            references.resolve("${vault:secret/data/zendesk#missing}", allowed)
        assert "of the vault" not in str(caught.value) + caught.value.hint
        with pytest.raises(ConfigError, match="not a path"):
            references.resolve("${vault:secret/data/../sys/x#token}", allowed)
        with pytest.raises(ConfigError, match="no secret"):
            references.resolve("${vault:secret/data/nothing#x}", allowed)
        monkeypatch.setenv("VAULT_TOKEN", "wrong-token")
        with pytest.raises(ConfigError, match="does not let") as caught:
            references.resolve("${vault:secret/data/zendesk#token}", allowed)
        assert "wrong-token" not in str(caught.value)
