"""What the support form reads from the environment."""

from __future__ import annotations

import pytest

from kitestring.errors import ConfigError


def settings(**environment: str):  # type: ignore[no-untyped-def]
    from settings import Settings

    return Settings.of(environment)


def test_a_key_alone_does_not_change_the_demos_embedder() -> None:
    actual_settings = settings(OPENAI_API_KEY="sk-1234567890")
    assert actual_settings.embedding() == {"mode": "local"}
    assert (actual_settings.ticket_threshold, actual_settings.article_threshold) == (0.8, 1.0)


def test_a_collection_with_a_key_is_searched_by_openai_with_its_thresholds() -> None:
    actual_settings = settings(
        OPENAI_API_KEY="sk-1234567890", MILVUS_URL="https://x.zillizcloud.com", MILVUS_TOKEN="t0ken"
    )
    assert actual_settings.embedding() == {
        "mode": "openai",
        "openai_key": "sk-1234567890",
        "model": "text-embedding-ada-002",
    }
    assert (actual_settings.collection, actual_settings.ticket_threshold) == ("zendesk", 0.35)
    assert actual_settings.destination()["indexing"]["auth"] == {"mode": "token", "token": "t0ken"}


def test_thresholds_that_users_bring_along_are_kept() -> None:
    actual_settings = settings(TICKET_THRESHOLD="0.4", ARTICLE_THRESHOLD="0.362")
    assert (actual_settings.ticket_threshold, actual_settings.article_threshold) == (0.4, 0.362)


@pytest.mark.parametrize(
    ("name", "value"), [("ARTICLE_THRESHOLD", "x"), ("ORGANIZATION_ID", "Acme"), ("SEARCH_TIMEOUT_S", "1s")]
)
def test_a_value_that_cannot_be_read_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        settings(**{name: value})


def test_secrets_are_neither_in_the_repr_nor_in_masked_messages() -> None:
    secrets = {
        "MILVUS_TOKEN": "milvus-secret",
        "ZENDESK_CLIENT_SECRET": "client-secret",
        "ZENDESK_API_TOKEN": "zendesk-secret",
        "ZENDESK_OAUTH_TOKEN": "oauth-secret",
    }
    actual_settings = settings(MILVUS_URL="http://x:1", OPENAI_API_KEY="openai-secret", **secrets)
    for secret in (*secrets.values(), "openai-secret"):
        assert secret not in repr(actual_settings)
        assert actual_settings.masked(f"refused: {secret}!") == "refused: ****!"


def test_a_snippet_is_made_of_sentences() -> None:
    from collection import snippet

    text = (
        "Paging\n\nA page has 100 records.\n\nWhat to do\n\n1. Ask again.\n- a list\n\nStill stuck? "
        + "word " * 100
        + "."
    )
    actual_snippet = snippet({"title": "Paging", "text": text})
    assert actual_snippet.startswith("A page has 100 records. Still stuck? word")
    assert len(actual_snippet) <= 222


def test_the_number_of_a_ticket_is_found_in_airbytes_collections_too() -> None:
    from collection import number_of

    assert number_of({"_id": 35, "id": "x"}) == "35"
    assert number_of({"id": 4711, "record_id": "tickets_36"}) == "36"
    assert number_of({"id": 4711, "url": "https://acme.zendesk.com/api/v2/tickets/37.json"}) == "37"
    assert number_of({"id": 4711}) == "4711"
