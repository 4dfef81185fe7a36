"""The kinds of credentials of the source `github`: apps, several tokens, servers of a company's own."""

import time

import pytest
from reading import read
from stand_ins.github import GitHubStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import connector, source


@pytest.fixture
def server():
    with GitHubStandIn() as server:
        yield server


def logins(server):
    return [call for call in server.requests if call.path.endswith("/access_tokens")]


def with_credentials(server, **changes):
    config = server.app_config
    return {**config, "credentials": {**config["credentials"], **changes}}


def test_an_app_reads_with_one_token_of_its_installation_for_all_streams(server):
    github = source("github", server.app_config)
    github.check()
    for stream in ("issues", "reviews", "teams", "commits"):
        assert read(github, stream)[0]
    assert len(logins(server)) == 1
    assert {call.headers["authorization"][:11] for call in server.requests if call not in logins(server)} == {
        "Bearer ghs_"
    }


def test_an_installation_token_that_ended_is_renewed_and_costs_no_record():
    with GitHubStandIn(calls_per_token=3) as server:
        github = source("github", server.app_config)
        assert len(read(github, "workflow_runs")[0]) == 360
        assert len(read(github, "reviews")[0]) == 54
        assert len(logins(server)) >= 3


def test_an_app_may_be_named_by_numbers_and_its_key_have_written_line_ends(server):
    config = with_credentials(server)
    key = config["credentials"]["private_key"]
    for form in (key, key.replace("\n", "\\n"), key.replace("\n", " "), f"\n  {key}\n"):
        credentials = {"app_id": 998877, "installation_id": 4711, "private_key": form}
        source("github", {**config, "credentials": credentials}).check()


@pytest.mark.parametrize("ahead_s", [-300, 900])
def test_an_app_signs_by_githubs_clock_where_ours_is_wrong(server, ahead_s):
    server.clock_ahead_s = ahead_s
    source("github", server.app_config).check()
    assert [call.status for call in logins(server)] == [401, 201]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"}, ConfigError, "key"),
        ({"private_key": "not a key"}, ConfigError, "private key"),
        ({"private_key": ""}, ConfigError, "private key"),
        ({"client_id": "Iv1.another"}, AuthError, "client ID and private key"),
        ({"installation_id": "1"}, ConfigError, "no installation 1"),
    ],
)
def test_what_is_wrong_with_an_app_is_said_without_showing_its_key(server, changes, error, message):
    config = with_credentials(server, **changes)
    with pytest.raises(error, match=message) as caught:
        source("github", config).check()
    assert "MII" not in str(caught.value)


def test_a_key_of_another_app_is_refused_with_the_way_out(server):
    with GitHubStandIn() as other:
        config = with_credentials(server, private_key=other.access.private_key)
        with pytest.raises(AuthError, match="must be of the same app"):
            source("github", config).check()


def test_the_next_token_takes_over_where_one_is_spent():
    with GitHubStandIn(quotas={"ghp_a": 4, "ghp_b": 500}) as server:
        credentials = {"personal_access_token": "ghp_a, ghp_b"}
        github = source("github", {**server.config, "credentials": credentials})
        began = time.monotonic()
        assert len(read(github, "workflow_runs")[0]) == 360
        assert len(read(github, "reviews")[0]) == 54
        assert time.monotonic() - began < 1200  # the limits end in an hour
        assert {c.headers["authorization"][-1] for c in server.calls("/runs")} == {"a", "b"}
        assert len(server.calls("/graphql")) == 2


def test_tokens_may_be_a_list_and_none_of_them_is_shown():
    with GitHubStandIn(quotas={"ghp_a": 2, "ghp_b": 500}) as server:
        config = {**server.config, "credentials": {"personal_access_token": ["ghp_a", "ghp_b"]}}
        assert len(read(source("github", config), "collaborators")[0]) == 12
        config["credentials"]["personal_access_token"] = ["ghp_secret_one", "ghp_secret_two"]
        with pytest.raises(AuthError) as caught:
            source("github", config).check()
        assert "ghp_secret" not in str(caught.value)


def test_graphql_has_a_limit_of_its_own():
    with GitHubStandIn(quotas={"ghp_a": 500, "ghp_b": 500}) as server:
        server.access.calls_left["ghp_a", "graphql"] = 0
        credentials = {"personal_access_token": "ghp_a,ghp_b"}
        assert len(read(source("github", {**server.config, "credentials": credentials}), "reviews")[0]) == 54
        assert {c.headers["authorization"][-1] for c in server.calls("/graphql")} == {"b"}
        assert {c.headers["authorization"][-1] for c in server.calls("/pulls")} == {"a"}


def test_one_token_costs_no_call_for_its_limits(server):
    credentials = {"personal_access_token": " ghp_larkspur,"}
    read(source("github", {**server.config, "credentials": credentials}), "repositories")
    assert {call.path.split("/")[1] for call in server.requests} == {"repos"}


@pytest.mark.parametrize("token", ["ghp_a", "ghp_a,ghp_b"])
def test_a_server_of_a_companys_own_is_read_with_one_token_or_several(token):
    with GitHubStandIn(enterprise=True, quotas={"ghp_a": 900, "ghp_b": 900}) as server:
        github = source("github", {**server.config, "credentials": {"personal_access_token": token}})
        assert len(read(github, "issues")[0]) == 215
        assert len(read(github, "reviews")[0]) == 54


def test_user_tokens_of_an_app_are_renewed_where_there_is_a_refresh_token(server):
    credentials = {"access_token": "ghu_ended", "refresh_token": "ghr_1", "client_id": "Iv23", "client_secret": "shh",
                   "token_expiry_date": "2025-01-01T00:00:00Z"}  # fmt: skip
    kept = []
    github = source("github", {**server.config, "credentials": credentials})
    github.on_config(kept.append)
    assert len(read(github, "teams")[0]) == 2
    assert kept[-1]["credentials"]["refresh_token"] == "ghr_2"
    assert kept[-1]["credentials"]["access_token"].startswith("ghu_")


def test_a_refresh_token_that_is_spent_is_told_with_the_way_out(server):
    credentials = {"access_token": "ghu_ended", "refresh_token": "ghr_0", "client_id": "Iv23", "client_secret": "shh",
                   "token_expiry_date": "2025-01-01T00:00:00Z"}  # fmt: skip
    with pytest.raises(AuthError) as caught:
        source("github", {**server.config, "credentials": credentials}).check()
    assert "ghr_0" not in str(caught.value)


def test_the_form_hides_the_key_of_an_app():
    kinds = connector("source", "github").spec()["properties"]["credentials"]["oneOf"]
    app = next(kind for kind in kinds if "private_key" in kind["properties"])
    assert app["properties"]["private_key"]["airbyte_secret"]


def test_the_end_of_a_personal_token_is_told_where_it_has_one(server):
    github = source("github", server.config)
    assert github.credential_ends() == []
    server.token_ends = "2027-01-31 09:15:22 UTC"
    assert [f"{end.at:%Y-%m-%d %H:%M}" for end in github.credential_ends()] == ["2027-01-31 09:15"]
    server.enterprise = True
    assert source("github", server.config).credential_ends() == []
    github.close()
