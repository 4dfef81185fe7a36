"""The kinds of credentials of Jira and Confluence: which open the site, which the gateway, and what ends when."""

import gc

import pytest
from reading import read
from stand_ins.atlassian import CLIENT, CLOUD_ID, EMAIL, FIRST_REFRESH, SCOPED_TOKEN, SECRET, SERVICE_TOKEN, SITE
from stand_ins.confluence import ConfluenceStandIn
from stand_ins.jira import JiraStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source

CLIENT_CREDENTIALS = {"auth_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
CONSENT = {**CLIENT_CREDENTIALS, "auth_type": "oauth2.0", "refresh_token": FIRST_REFRESH}
BEARER = {"auth_type": "bearer", "access_token": SERVICE_TOKEN}


@pytest.fixture(params=["jira", "confluence"])
def name(request):
    return request.param


def stand_in(name, **options):
    return JiraStandIn(issues=60, page=10, **options) if name == "jira" else ConfluenceStandIn(page=4, **options)


def count(config, name):
    rows, _ = read(source(name, config), "issues" if name == "jira" else "pages")
    return len(rows)


EXPECTED = {"jira": 60, "confluence": 40}


def test_a_scoped_token_and_a_token_of_a_service_account_read_through_the_gateway(name):
    with stand_in(name) as server:
        for more in (
            {"email": EMAIL, "api_token": SCOPED_TOKEN},
            {"email": EMAIL, "api_token": SERVICE_TOKEN},
            {"credentials": BEARER},
        ):
            assert count({**server.scoped, **more}, name) == EXPECTED[name]
        assert all(call.path.startswith(f"/ex/{name}/{CLOUD_ID}/") for call in server.requests)


def test_the_gateway_may_stand_in_the_domain(name):
    with stand_in(name) as server:
        option = "domain" if name == "jira" else "domain_name"
        for place in (f"api.atlassian.com/ex/{name}/{CLOUD_ID}", f"https://api.atlassian.com/ex/{name}/{CLOUD_ID}/"):
            config = {option: place, "email": EMAIL, "api_token": SCOPED_TOKEN, "base_url": server.url}
            assert count(config, name) == EXPECTED[name]


def test_the_site_may_be_written_as_an_address(name):
    with stand_in(name) as server:
        option = "domain" if name == "jira" else "domain_name"
        for place in (f"https://{SITE}/", f"https://{SITE}/jira/your-work", f" {SITE} "):
            assert count({**server.config, option: place}, name) == EXPECTED[name]


def test_a_token_with_scopes_and_no_cloud_id_is_told_where_the_cloud_id_is(name):
    with stand_in(name) as server:
        config = {**server.config, "api_token": SCOPED_TOKEN}
        with pytest.raises(AuthError, match=r"cloud_id is missing.*cloudId at http://\S+/_edge/tenant_info") as caught:
            source(name, config).check()
        assert SCOPED_TOKEN not in str(caught.value)


def test_a_token_without_scopes_and_a_cloud_id_that_is_another_site_are_told_as_what_they_are(name):
    with stand_in(name) as server:
        with pytest.raises(AuthError, match="without scopes, which works without cloud_id"):
            source(name, {**server.config, "cloud_id": CLOUD_ID}).check()
        other = {**server.scoped, "cloud_id": CLOUD_ID[:-1] + "0", "email": EMAIL, "api_token": SCOPED_TOKEN}
        with pytest.raises(ConfigError, match="at the cloud id 1a11d016"):
            source(name, other).check()


def test_other_credentials_without_a_cloud_id_are_refused_before_a_call(name):
    with stand_in(name) as server:
        config = {key: value for key, value in server.scoped.items() if key != "cloud_id"}
        for credentials in (BEARER, CLIENT_CREDENTIALS, CONSENT):
            with pytest.raises(ConfigError, match=r"cloud_id .*_edge/tenant_info.* is missing"):
                source(name, {**config, "credentials": credentials})
        assert server.requests == []


def test_a_configuration_without_credentials_names_what_is_missing(name):
    with stand_in(name) as server:
        config = {**server.config, "email": "", "credentials": None}
        with pytest.raises(ConfigError, match="email is missing"):
            source(name, config)
        with pytest.raises(ConfigError, match=r"credentials.client_secret is missing"):
            source(name, {**server.scoped, "credentials": {"auth_type": "client_credentials", "client_id": CLIENT}})
        with pytest.raises(ConfigError, match="cloud_id should have the form"):
            source(name, {**server.config, "cloud_id": "../../evil"})


def test_client_credentials_fetch_a_new_token_when_one_ends(name):
    with stand_in(name, lifetime=2) as server:
        config = {**server.scoped, "auth_url": server.url, "credentials": CLIENT_CREDENTIALS}
        assert count(config, name) == EXPECTED[name]
        assert len(server.calls("/oauth/token")) > 1
        assert all(call.json()["audience"] == "api.atlassian.com" for call in server.calls("/oauth/token"))


def test_a_wrong_client_is_told_what_to_check(name):
    with stand_in(name) as server:
        credentials = {**CLIENT_CREDENTIALS, "client_secret": "another-secret"}
        with pytest.raises(AuthError, match="refuses access to the OAuth client") as caught:
            source(name, {**server.scoped, "auth_url": server.url, "credentials": credentials}).check()
    assert "client_id and client_secret" in caught.value.hint
    assert "another-secret" not in str(caught.value)


def test_a_refresh_token_is_used_once_and_the_new_one_is_kept(name):
    kept = []
    with stand_in(name, lifetime=2) as server:
        config = {**server.scoped, "auth_url": server.url, "credentials": CONSENT}
        reader = source(name, config)
        reader.on_config(kept.append)
        assert len(read(reader, "issues" if name == "jira" else "pages")[0]) == EXPECTED[name]
        assert kept[-1]["credentials"]["refresh_token"] == server.refresh_token != FIRST_REFRESH
        assert [call.status for call in server.calls("/oauth/token")] == [200] * len(kept)
        reader.close()
        assert count({**config, **kept[-1]}, name) == EXPECTED[name]
        del reader
        gc.collect()  # sources of one process share a credential while one of them lives
        with pytest.raises(AuthError, match="Unknown or invalid refresh token") as caught:
            count(config, name)
        assert FIRST_REFRESH not in str(caught.value)
        assert SECRET not in str(caught.value)
