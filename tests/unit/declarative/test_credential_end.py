"""When credentials end: as the manifest says, or as the API does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from loopback import Api, Open, stream

from kitestring.errors import ConfigError


def ends_of(
    open_source: Open, *ends: dict[str, Any], config: dict[str, Any] | None = None
) -> list[tuple[str, datetime]]:
    described = [{"type": "CredentialEnd", "name": f"number {n}", **end} for n, end in enumerate(ends)]
    source = open_source(stream(url="http://127.0.0.1:9"), config=config, credential_ends=described)
    return [(end.name, end.at) for end in source.credential_ends()]


def expiry_config(api: Api, at: str) -> dict[str, Any]:
    once = {"type": "DefaultErrorHandler", "max_retries": 0}
    return {
        "at": at,
        "requester": {"type": "HttpRequester", "url_base": api.url, "path": "/token", "error_handler": once},
    }


def test_an_end_that_the_manifest_knows_is_told_where_its_condition_holds(open_source: Open) -> None:
    end = {"at": "2027-04-30", "condition": "{{ config.kind == 'token' }}"}
    assert ends_of(open_source, end, config={"kind": "token"}) == [("number 0", datetime(2027, 4, 30, tzinfo=UTC))]
    assert ends_of(open_source, end, config={"kind": "oauth"}) == []


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2027-01-31 09:15:22 UTC", 9), ("2027-01-31 09:15:22 +0100", 8), ("2027-01-31T09:15:22Z", 9), ("2027-01-31", 0)],
)
def test_an_end_that_the_api_knows_is_asked_for(api: Api, open_source: Open, text: str, hour: int) -> None:
    api.answers["/token"] = {"expires_at": text}
    ((_, at),) = ends_of(open_source, expiry_config(api, "{{ response.get('expires_at') or '' }}"))
    assert (at.day, at.hour) == (31, hour)


def test_the_next_end_is_first_and_what_has_none_is_left_out(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"expires_at": None}
    none = expiry_config(api, "{{ response.get('expires_at') or '' }}")
    assert [name for name, _ in ends_of(open_source, {"at": "2028-01-01"}, none, {"at": "2027-01-01"})] == [
        "number 2",
        "number 0",
    ]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_api_that_does_not_tell_stops_nothing(api: Api, open_source: Open, status: int) -> None:
    api.answers["/token"] = (status, {"error": "no"})
    assert ends_of(open_source, expiry_config(api, "{{ response['expires_at'] }}")) == []


def test_an_api_that_tells_no_moment_stops_nothing(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"expires_at": "soon"}
    assert ends_of(open_source, expiry_config(api, "{{ response['expires_at'] }}")) == []


def test_what_is_no_moment_is_a_defect_of_the_manifest(open_source: Open) -> None:
    with pytest.raises(ConfigError, match="'soon', a date or time is expected"):
        ends_of(open_source, {"at": "soon"})
