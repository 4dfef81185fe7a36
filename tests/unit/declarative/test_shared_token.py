"""One token for the streams, sources and threads of a process that have the same credential."""

from __future__ import annotations

from typing import Any

from loopback import Api, Open, stream, sync


def rotating(api: Api, refreshes: list[str]) -> None:
    """A token endpoint whose refresh tokens are good for one use, and that ends the old access token."""

    def token(call: Any) -> Any:
        refreshes.append(call.form["refresh_token"])
        if call.form["refresh_token"] != f"r{len(refreshes) - 1}":
            return 400, {"error": "invalid_grant"}
        return {"access_token": f"a{len(refreshes)}", "refresh_token": f"r{len(refreshes)}", "expires_in": 3600}

    def things(call: Any) -> Any:
        good = call.headers["authorization"] == f"Bearer a{len(refreshes)}"
        return {"data": [{"id": 1}, {"id": 2}]} if good else (401, {"message": "expired"})

    api.answers["/token"] = token
    for path in ("/parents", "/things/1", "/things/2", "/things"):
        api.answers[path] = things


UPDATED = {
    "type": "OAuthAuthenticator",
    "client_id": "i",
    "client_secret": "s",
    "refresh_token_updater": {
        "access_token_config_path": ["access"],
        "refresh_token_config_path": ["refresh"],
        "token_expiry_date_config_path": ["expiry"],
    },
}


def test_streams_with_the_same_credential_use_one_token(api: Api, open_source: Open) -> None:
    refreshes: list[str] = []
    rotating(api, refreshes)
    signed = {"authenticator": {**UPDATED, "token_refresh_endpoint": f"{api.url}/token"}}
    parent = {
        "type": "ParentStreamConfig",
        "stream": stream("parents", url=api.url, path="/parents", requester=signed),
        "parent_key": "id",
        "partition_field": "n",
    }
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}
    child = stream(
        url=api.url,
        path="/things/{{ stream_slice['n'] }}",
        requester=signed,
        retriever={"partition_router": router},
    )
    kept: list[dict[str, Any]] = []
    source = open_source(child, config={"refresh": "r0", "access": "", "expiry": ""})
    source.on_config(lambda config: kept.append(dict(config)))
    assert len(sync(source).records) == 4
    assert refreshes == ["r0"]
    assert [(config["access"], config["refresh"]) for config in kept] == [("a1", "r1")]
    assert [call.path for call in api.calls].count("/parents") == 1


def test_two_sources_of_one_process_use_up_no_refresh_token_twice(api: Api, open_source: Open) -> None:
    refreshes: list[str] = []
    rotating(api, refreshes)
    signed = {"authenticator": {**UPDATED, "token_refresh_endpoint": f"{api.url}/token"}}
    kept: list[str] = []
    sources = []
    for _ in range(2):
        source = open_source(stream(url=api.url, requester=signed), config={"refresh": "r0"})
        source.on_config(lambda config: kept.append(config["refresh"]))
        sources.append(source)
    assert [len(sync(source).records) for source in sources] == [2, 2]
    assert refreshes == ["r0"]
    assert kept == ["r1", "r1"]


def test_threads_whose_token_was_refused_fetch_one_new_token(api: Api, open_source: Open) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    fetched: list[str] = []
    barrier = Barrier(4, timeout=120)

    def token(call: Any) -> Any:
        fetched.append("t")
        return {"access_token": f"a{len(fetched)}", "expires_in": 3600}

    def things(call: Any) -> Any:
        if call.headers["authorization"] == "Bearer a1":
            barrier.wait()  # all four are answered only when all have asked
            return 401, {}
        return {"data": [{"id": 1}]}

    api.answers.update({"/token": token, "/things": things})
    signed = {
        "authenticator": {
            "type": "OAuthAuthenticator",
            "client_id": "i",
            "client_secret": "s",
            "refresh_token": "r",
            "token_refresh_endpoint": f"{api.url}/token",
        }
    }
    source = open_source(stream(url=api.url, requester=signed))
    requester = source.component("things").retriever.requester
    from kitestring.declarative.slice import WHOLE

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: requester.send(WHOLE)[0].status, range(4)))
    assert answers == [200] * 4
    assert len(fetched) == 2
