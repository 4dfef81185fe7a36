"""Signing in to Zendesk as it is today: tokens that end, refresh tokens that work once, OAuth clients."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from reading import read

import kitestring as ks
from kitestring.credentials import CredentialFiles
from kitestring.errors import AuthError, ConfigError
from kitestring.http import Session
from kitestring.registry import connector, source
from kitestring.testing.zendesk import ZendeskStandIn

NAMES = ["tickets", "users", "organizations", "groups", "brands", "articles"]


@pytest.fixture
def zendesk():
    with ZendeskStandIn(tickets=120, export_page=20) as server:
        server.tokens.delay_s = 0.02
        yield server


def opened(zendesk, credentials, folder=None):
    support = source("zendesk_support", {**zendesk.config, "credentials": credentials})
    if folder is not None:
        support.keep_credentials(CredentialFiles(folder))
    return support


def synced(support, tmp_path, names=NAMES):
    result = ks.sync(support, ks.destination("files", {"path": str(tmp_path / "out"), "format": "jsonl"}), names)
    assert result.ok, result.as_dict()
    return {name: result.streams[name].read for name in names}


@pytest.mark.parametrize("kind", ["client_credentials", "consented"])
def test_one_token_serves_all_streams_of_a_process(zendesk, tmp_path, kind):
    credentials = zendesk.client_credentials if kind == "client_credentials" else zendesk.consented()
    counts = synced(opened(zendesk, credentials, tmp_path / "kept"), tmp_path)
    assert counts["tickets"] >= 120
    assert len(zendesk.tokens.exchanges) == 1
    assert {c.status for c in zendesk.requests} == {200}


def test_the_oauth_client_asks_for_a_token_as_documented(zendesk):
    opened(zendesk, zendesk.client_credentials).check()
    (requests,) = zendesk.calls("/oauth/tokens", "POST")
    assert requests.headers["content-type"].startswith("application/json")
    body = {"grant_type": "client_credentials", "client_id": "larkspur", "client_secret": "larkspur-secret"}
    assert json.loads(requests.body) == {**body, "scope": "read"}
    assert zendesk.requests[-1].headers["authorization"].startswith("Bearer ")


def test_a_scope_of_ones_own_is_asked_for_and_an_empty_one_is_not_sent(zendesk):
    zendesk.tokens.scope = "tickets:read hc:read"
    opened(zendesk, {**zendesk.client_credentials, "scope": "tickets:read"}).check()
    opened(zendesk, {**zendesk.client_credentials, "scope": ""}).check()
    assert [json.loads(c.body).get("scope") for c in zendesk.calls("/oauth/tokens")] == ["tickets:read", None]


@pytest.mark.parametrize("kind", ["client_credentials", "consented"])
def test_a_token_that_ends_in_mid_sync_is_renewed_once_and_nothing_is_lost(zendesk, tmp_path, kind):
    credentials = zendesk.client_credentials if kind == "client_credentials" else zendesk.consented()
    support, answer = opened(zendesk, credentials, tmp_path), zendesk.answer

    def expire(call):
        if len(zendesk.requests) == 4:
            zendesk.tokens.end_access()
        return answer(call)

    zendesk.answer = expire
    rows, _ = read(support, "tickets")
    assert {row["id"] for row in rows} == set(range(1, 121))
    assert len(zendesk.tokens.exchanges) == 2
    assert [c.status for c in zendesk.requests].count(401) == 1


@pytest.mark.parametrize("kind", ["client_credentials", "consented"])
def test_a_token_that_ends_at_the_help_center_of_another_brand_is_renewed_at_the_account(zendesk, tmp_path, kind):
    zendesk.add_brand("Foxglove", "foxglove", articles=9)
    credentials = zendesk.client_credentials if kind == "client_credentials" else zendesk.consented()
    support, answer = opened(zendesk, credentials, tmp_path), zendesk.answer
    ended = []

    def expire(call):
        if call.headers.get("x-forwarded-host") and not ended:
            ended.append(call.path)
            zendesk.tokens.end_access()
        return answer(call)

    zendesk.answer = expire
    rows, _ = read(support, "articles")
    assert {row["brand_id"] for row in rows} == {501, 502}
    assert ended
    assert [e.status for e in zendesk.tokens.exchanges] == [200, 200]
    assert not any(call.headers.get("x-forwarded-host") for call in zendesk.calls("/oauth/tokens"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["client_credentials", "consented"])
def test_tokens_that_live_for_moments_cost_renewals_and_no_record(tmp_path, kind):
    with ZendeskStandIn(tickets=120, export_page=4, token_lifetime_s=1) as zendesk:
        credentials = zendesk.client_credentials if kind == "client_credentials" else zendesk.consented()
        zendesk.faults.shares["slow"], zendesk.faults.slow_s = 1.0, 0.05
        counts = synced(opened(zendesk, credentials, tmp_path / "kept"), tmp_path, ["tickets", "users", "articles"])
    assert counts["tickets"] >= 120
    assert len(zendesk.tokens.exchanges) >= 2
    assert zendesk.tokens.most_at_once == 1
    assert all(e.status == 200 for e in zendesk.tokens.exchanges)


def test_a_refresh_is_kept_before_it_is_used_and_the_next_process_goes_on_with_it(zendesk, tmp_path):
    credentials = zendesk.consented()
    for _ in range(3):
        support = opened(zendesk, json.loads(json.dumps(credentials)), tmp_path)
        support.check()
        support.close()
        zendesk.tokens.end_access()
        del support
    assert [e.status for e in zendesk.tokens.exchanges] == [200, 200, 200]
    (file,) = tmp_path.glob("*.json")
    kept = json.loads(file.read_text())["credentials"]
    assert kept["refresh_token"] != credentials["refresh_token"]
    assert {"access_token", "refresh_token", "token_expiry_date"} <= set(kept)


def test_an_old_configuration_with_an_access_token_alone_goes_on_until_zendesk_ends_it(zendesk):
    old = {"credentials": "oauth2.0", "access_token": "larkspur-oauth"}
    support = opened(zendesk, old)
    assert len({row["id"] for row in read(support, "tickets")[0]}) == 120
    assert zendesk.tokens.exchanges == []
    zendesk.access_token = "ended"
    with pytest.raises(AuthError, match="answered 401: The access token provided is expired"):
        support.check()


@pytest.mark.parametrize("drift", [timedelta(hours=-3), timedelta(hours=3)])
def test_a_clock_that_is_wrong_costs_one_renewal(zendesk, drift):
    credentials = zendesk.consented()
    credentials["token_expiry_date"] = (datetime.now(UTC) + timedelta(minutes=30) + drift).isoformat()
    zendesk.tokens.end_access()
    support = opened(zendesk, credentials)
    assert len({row["id"] for row in read(support, "tickets")[0]}) == 120
    assert len(zendesk.tokens.refreshes) == 1


def test_a_pair_that_was_got_by_hand_as_the_page_says_signs_in(zendesk):
    requests = {"response_type": "code", "client_id": "larkspur", "scope": "read", "redirect_uri": "https://localhost/"}
    with closing(HTTPConnection(zendesk.url.removeprefix("http://"))) as browser:
        browser.request("GET", f"/oauth/authorizations/new?{urlencode(requests)}")
        code = parse_qs(urlsplit(browser.getresponse().headers["location"]).query)["code"][0]
    client = {"client_id": "larkspur", "client_secret": "larkspur-secret"}
    exchange = {"grant_type": "authorization_code", "code": code, **client, "redirect_uri": "https://localhost/"}
    with Session(base_url=zendesk.url) as terminal:
        answer = terminal.request("POST", "/oauth/tokens", json=exchange).json()
    pair = {name: answer[name] for name in ("access_token", "refresh_token")}
    opened(zendesk, {"credentials": "oauth2.0", **client, **pair}).check()
    assert len(zendesk.tokens.refreshes) == 1


@pytest.mark.parametrize("kind", ["client_credentials", "consented"])
def test_a_client_whose_tokens_never_end_says_null_and_is_read_like_all_others(zendesk, kind):
    zendesk.tokens.lifetime_s = None
    credentials = zendesk.client_credentials if kind == "client_credentials" else zendesk.consented()
    support = opened(zendesk, credentials)
    for name in ("tickets", "users"):
        assert read(support, name)[0]
    assert len(zendesk.tokens.exchanges) == 1


def test_a_deleted_client_is_an_error_that_says_what_to_do(zendesk):
    credentials = zendesk.client_credentials
    support = opened(zendesk, credentials)
    zendesk.tokens.clients.clear()
    with pytest.raises(AuthError, match=r"unknown, was deleted, or its secret was changed \(invalid_client") as caught:
        support.check()
    assert "client_id and client_secret" in caught.value.hint
    assert "larkspur-secret" not in str(caught.value)
    assert len(zendesk.tokens.exchanges) == 1


def test_a_secret_that_is_changed_while_a_sync_runs_ends_it_and_the_new_one_goes_on(zendesk):
    support = opened(zendesk, zendesk.client_credentials)
    support.check()
    zendesk.tokens.clients["larkspur"] = "rotated"
    read(support, "groups")  # the token is still good
    zendesk.tokens.end_access()
    with pytest.raises(AuthError, match="secret was changed"):
        read(support, "groups")
    assert read(opened(zendesk, zendesk.client_credentials), "groups")[0]


def test_a_changed_secret_goes_on_with_the_refresh_token_that_was_kept(zendesk, tmp_path):
    credentials = zendesk.consented()
    opened(zendesk, dict(credentials), tmp_path).check()
    zendesk.tokens.clients["larkspur"] = "rotated"
    zendesk.tokens.end_access()
    opened(zendesk, {**credentials, "client_secret": "rotated"}, tmp_path).check()
    assert [e.status for e in zendesk.tokens.exchanges] == [200, 200]


def test_an_api_token_that_zendesk_has_ended_says_what_takes_its_place(zendesk):
    support = opened(zendesk, zendesk.api_token_credentials)
    zendesk.api_token = "ended"
    with pytest.raises(AuthError, match=r"401: Couldn't authenticate you. .*2027-04-30.*choose client_credentials$"):
        support.check()


def test_a_scope_that_is_missing_is_named(zendesk):
    narrow = opened(zendesk, {**zendesk.client_credentials, "scope": "tickets:read"})
    zendesk.tokens.scope = "tickets:read"
    narrow.check()
    with pytest.raises(ConfigError, match=r"lacks a scope: .*users:read.*credentials\.scope"):
        read(narrow, "users")
    with pytest.raises(AuthError, match=r"requested scopes.*invalid_scope"):
        opened(zendesk, zendesk.client_credentials).check()


def test_airbytes_configuration_with_a_refresh_token_works_as_it_is(zendesk, tmp_path):
    expired = {"token_expiry_date": "2026-01-01T00:00:00Z"}
    support = opened(zendesk, {**zendesk.consented(), **expired, "credentials": "oauth2_refresh"}, tmp_path)
    support.check()
    assert len(zendesk.tokens.refreshes) == 1


def test_a_refresh_token_that_was_used_elsewhere_says_to_authorise_again(zendesk):
    credentials = zendesk.consented()
    zendesk.tokens.end_all()
    with pytest.raises(AuthError, match="the refresh token was used") as caught:
        opened(zendesk, credentials).check()
    assert caught.value.hint == "Authorise this source again."
    assert len(zendesk.tokens.exchanges) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "drop", "not_json"])
def test_faults_of_the_token_address_cost_time_only(zendesk, fault):
    zendesk.faults.retry_after_s = 0
    zendesk.faults.next(fault, on="/oauth/tokens")
    opened(zendesk, zendesk.consented()).check()
    assert len(zendesk.tokens.refreshes) == 1


def test_an_api_token_opens_zendesk_as_long_as_zendesk_takes_it(zendesk):
    support = opened(zendesk, zendesk.api_token_credentials)
    assert read(support, "groups")[0]
    assert zendesk.requests[-1].headers["authorization"].startswith("Basic ")
    assert zendesk.tokens.exchanges == []
    assert [f"{end.name} {end.at:%Y-%m-%d}" for end in support.credential_ends()] == ["The API token 2027-04-30"]


def test_the_form_offers_the_oauth_client_first_and_says_when_api_tokens_end():
    form = connector("source", "zendesk_support").spec()
    choices = form["properties"]["credentials"]["oneOf"]
    assert "base_url" in form["properties"]
    kinds = ["client_credentials", "oauth2.0", "api_token", "oauth2_refresh"]
    assert [c["properties"]["credentials"]["const"] for c in choices] == kinds
    assert "recommended" in choices[0]["title"]
    assert "2027" in choices[2]["title"]
    assert "2027-04-30" in choices[2]["description"]
    secrets = {k for c in choices for k, v in c["properties"].items() if v.get("airbyte_secret")}
    assert secrets == {"client_id", "client_secret", "access_token", "refresh_token", "api_token"}


@pytest.mark.parametrize(
    "credentials",
    [
        {"credentials": "oauth2.0", "access_token": "a"},
        {"credentials": "oauth2.0", "access_token": "a", "client_id": "i", "client_secret": "s"},
        {"credentials": "oauth2.0", "refresh_token": "r", "client_id": "i", "client_secret": "s"},
        {"credentials": "oauth2_refresh", "refresh_token": "r", "client_id": "i", "client_secret": "s"},
        {"credentials": "api_token", "email": "me@example.com", "api_token": "t"},
        {"credentials": "client_credentials", "client_id": "i", "client_secret": "s"},
    ],
)
def test_configurations_of_all_kinds_are_taken(zendesk, credentials):
    assert connector("source", "zendesk_support").build({**zendesk.config, "credentials": credentials})
