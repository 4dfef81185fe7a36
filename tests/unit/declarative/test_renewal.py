"""Renewing a token whose refresh token is good once: kept before it is used, by one process at a time."""

from __future__ import annotations

import gc
import json
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from loopback import Api, Open, manifest, stream, sync

from kitestring.credentials import CredentialFiles
from kitestring.declarative.source import DeclarativeSource
from kitestring.errors import AuthError, Cancelled, ConfigError


class Vendor:
    """A vendor whose refresh ends the old pair at once. `spent` counts the calls with an old refresh token."""

    def __init__(self, api: Api, seconds: int | None = 3600) -> None:
        self.number, self.seconds, self.spent = 0, seconds, 0
        self.refreshes: list[str] = []
        api.answers.update({"/token": self.token, "/things": self.things})

    def token(self, call: Any) -> Any:
        refresh_token = call.form["refresh_token"]
        self.refreshes.append(refresh_token)
        if refresh_token != f"r{self.number}":
            self.spent += 1
            return 401, {"error": "invalid_grant"}
        self.number += 1
        return {"access_token": f"a{self.number}", "refresh_token": f"r{self.number}", "expires_in": self.seconds}

    def things(self, call: Any) -> Any:
        if call.headers["authorization"] != f"Bearer a{self.number}":
            return 401, {}
        return {"data": [{"id": 1}]}


def signed(url: str, **more: Any) -> dict[str, Any]:
    return {
        "authenticator": {
            "type": "OAuthAuthenticator",
            "client_id": "i",
            "client_secret": "s",
            **more,
            "token_refresh_endpoint": f"{url}/token",
            "refresh_token_updater": {},
        }
    }


def credentials(**more: str) -> dict[str, Any]:
    return {"credentials": {"refresh_token": "r0", **more}}


def read_once(url: str, folder: Path, **more: Any) -> int:
    """How many records a process reads that knows only the first refresh token and the folder."""
    source = DeclarativeSource.of(manifest(stream(url=url, requester=signed(url, **more))), credentials())
    source.keep_credentials(CredentialFiles(folder))
    with closing(source):
        return len(sync(source).records)


def test_a_later_process_goes_on_with_the_pair_that_an_earlier_one_kept(api: Api, tmp_path: Path) -> None:
    vendor = Vendor(api)
    for _ in range(3):
        assert read_once(api.url, tmp_path / "credentials") == 1
        gc.collect()
    assert (vendor.refreshes, vendor.spent) == (["r0"], 0)
    (file,) = (tmp_path / "credentials").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["credentials"]["refresh_token"] == "r1"


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"client_secret": "rotated"}, {"refresh_request_headers": {"X-Version": "2"}}, {"scopes": ["read"]}]
)
def test_a_changed_secret_or_manifest_renews_the_pair_that_was_kept(
    api: Api, tmp_path: Path, change: dict[str, Any]
) -> None:
    vendor = Vendor(api)
    read_once(api.url, tmp_path)
    gc.collect()
    (file,) = tmp_path.glob("*.json")
    kept = json.loads(file.read_text())
    kept["credentials"]["token_expiry_date"] = "2020-01-01T00:00:00Z"
    file.write_text(json.dumps(kept))
    assert read_once(api.url, tmp_path, **change) == 1
    assert (vendor.refreshes, vendor.spent) == (["r0", "r1"], 0)


def test_a_source_that_is_closed_while_it_renews_keeps_the_new_pair(api: Api, tmp_path: Path) -> None:
    vendor, event, goes_on = Vendor(api), threading.Event(), threading.Event()

    def slow(call: Any) -> Any:
        event.set()
        goes_on.wait(300)
        return vendor.token(call)

    api.answers["/token"] = slow
    source = DeclarativeSource.of(manifest(stream(url=api.url, requester=signed(api.url))), credentials())
    source.keep_credentials(CredentialFiles(tmp_path))
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(sync, source)
        assert event.wait(300)
        closing = pool.submit(source.close)
        time.sleep(0.1)
        assert not closing.done()
        goes_on.set()
        closing.result(300)
        (file,) = tmp_path.glob("*.json")
        assert json.loads(file.read_text())["credentials"]["refresh_token"] == "r1"
        with pytest.raises(Cancelled):
            reading.result(300)
    api.answers["/token"] = vendor.token
    gc.collect()
    assert read_once(api.url, tmp_path) == 1
    assert vendor.spent == 0


def test_closing_ends_the_waits_of_a_renewal_that_fails(api: Api, tmp_path: Path) -> None:
    event = threading.Event()

    def busy(call: Any) -> Any:
        event.set()
        return 429, {"error": "busy"}, {"Retry-After": "600"}

    api.answers["/token"] = busy
    source = DeclarativeSource.of(manifest(stream(url=api.url, requester=signed(api.url))), credentials())
    source.keep_credentials(CredentialFiles(tmp_path))
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(sync, source)
        assert event.wait(300)
        pool.submit(source.close).result(300)
        with pytest.raises(Cancelled):
            reading.result(300)


def test_a_kept_pair_that_has_ended_is_renewed_with_its_own_refresh_token(api: Api, tmp_path: Path) -> None:
    vendor = Vendor(api)
    read_once(api.url, tmp_path)
    gc.collect()
    (file,) = tmp_path.glob("*.json")
    kept = json.loads(file.read_text())
    kept["credentials"]["token_expiry_date"] = "2020-01-01T00:00:00Z"
    file.write_text(json.dumps(kept))
    assert read_once(api.url, tmp_path) == 1
    assert (vendor.refreshes, vendor.spent) == (["r0", "r1"], 0)


@pytest.mark.slow
def test_processes_never_renew_at_once(api: Api, tmp_path: Path) -> None:
    vendor = Vendor(api)
    reading = Path(__file__)
    code = f"import test_renewal, pathlib; print(test_renewal.read_once({api.url!r}, pathlib.Path({str(tmp_path)!r})))"
    children = [
        subprocess.Popen([sys.executable, "-c", code], cwd=reading.parent, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [child.communicate()[0].strip() for child in children] == ["1", "1", "1"]
    assert (vendor.refreshes, vendor.spent) == (["r0"], 0)


def test_nothing_is_renewed_where_it_could_not_be_kept(api: Api, open_source: Open, tmp_path: Path) -> None:
    vendor = Vendor(api)
    (tmp_path / "file").write_text("")
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=credentials())
    source.keep_credentials(CredentialFiles(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot be kept"):
        sync(source)
    assert vendor.refreshes == []


def test_a_full_disk_fails_before_the_refresh_token_is_used_up(api: Api, open_source: Open, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    vendor = Vendor(api)
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=credentials())
    source.keep_credentials(CredentialFiles(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(ConfigError, match="cannot be kept"):
            sync(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert vendor.refreshes == []
    assert read_once(api.url, tmp_path) == 1
    assert not [*tmp_path.glob("*.tmp")], "the reserved space is given back"


def test_a_source_that_hears_of_a_renewal_late_does_not_undo_what_another_process_renewed_since(
    api: Api, open_source: Open, tmp_path: Path
) -> None:
    vendor = Vendor(api)
    first, second = (open_source(stream(url=api.url, requester=signed(api.url)), config=credentials()) for _ in "ab")
    for source in (first, second):
        source.keep_credentials(CredentialFiles(tmp_path))
    assert len(sync(first).records) == 1
    (file,) = tmp_path.glob("*.json")
    vendor.number = 2  # of another process
    later = {"access_token": "a2", "refresh_token": "r2", "token_expiry_date": "2099-01-01T00:00:00Z"}
    file.write_text(json.dumps({"credentials": later}))
    assert len(sync(second).records) == 1
    assert json.loads(file.read_text())["credentials"] == later
    assert (vendor.refreshes, vendor.spent) == (["r0"], 0)


def test_two_folders_of_one_process_both_keep_the_pair(api: Api, open_source: Open, tmp_path: Path) -> None:
    vendor = Vendor(api)
    first, second = (open_source(stream(url=api.url, requester=signed(api.url)), config=credentials()) for _ in "ab")
    for source, name in ((first, "a"), (second, "b")):
        source.keep_credentials(CredentialFiles(tmp_path / name))
        assert len(sync(source).records) == 1
    kept = [json.loads(path.read_text())["credentials"]["refresh_token"] for path in tmp_path.glob("*/*.json")]
    assert kept == ["r1", "r1"]
    assert vendor.refreshes == ["r0"]


def test_a_pair_is_kept_although_the_folder_is_deleted_while_it_is_renewed(tmp_path: Path) -> None:
    store = CredentialFiles(tmp_path / "credentials")
    with store.renewing("k"):
        store.folder.rename(tmp_path / "deleted")
        store.keep("k", {"a": 2}, {})
    with store.renewing("k") as kept:
        assert kept == {"a": 2}


def test_the_pair_is_kept_before_the_new_token_is_used(api: Api, open_source: Open, tmp_path: Path) -> None:
    vendor = Vendor(api)
    seen: list[list[str]] = []

    def things(call: Any) -> Any:
        seen.append([json.loads(path.read_text())["credentials"]["access_token"] for path in tmp_path.glob("*.json")])
        return vendor.things(call)

    api.answers["/things"] = things
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=credentials())
    source.keep_credentials(CredentialFiles(tmp_path))
    sync(source)
    assert seen == [["a1"]]


def test_an_access_token_without_a_refresh_token_is_used_until_it_is_refused(api: Api, open_source: Open) -> None:
    vendor = Vendor(api)
    config = {"credentials": {"access_token": "a0"}}
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=config)
    assert len(sync(source).records) == 1
    vendor.number = 1
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=config)
    with pytest.raises(AuthError, match="/things answered 401"):
        sync(source)
    assert vendor.refreshes == []


def test_a_token_that_is_refused_before_its_time_is_renewed_once(api: Api, open_source: Open, tmp_path: Path) -> None:
    vendor = Vendor(api)
    config = credentials(access_token="ended", token_expiry_date="2099-01-01T00:00:00Z")
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=config)
    source.keep_credentials(CredentialFiles(tmp_path))
    assert len(sync(source).records) == 1
    assert vendor.refreshes == ["r0"]


def test_a_kept_file_that_is_broken_is_an_error_that_names_it(api: Api, tmp_path: Path) -> None:
    vendor = Vendor(api)
    read_once(api.url, tmp_path)
    gc.collect()
    (file,) = tmp_path.glob("*.json")
    os.truncate(file, 5)
    with pytest.raises(ConfigError, match=f"{file.name} cannot be read"):
        read_once(api.url, tmp_path)
    assert vendor.refreshes == ["r0"]


def test_parents_and_children_share_a_pair_that_a_template_of_the_manifest_names(api: Api, open_source: Open) -> None:
    """A template that names the refresh token is rendered at other times for each stream."""
    vendor = Vendor(api)
    used: set[str] = set()

    def things(call: Any) -> Any:
        if call.headers["authorization"] in used:
            return 401, {}
        used.add(call.headers["authorization"])
        return vendor.things(call)

    for path in ("/owners", "/owners/1/things"):
        api.answers[path] = things
    requester = signed(api.url, refresh_token="{{ config['credentials']['refresh_token'] }}")
    owners = stream(name="owners", url=api.url, path="/owners", requester=requester)
    parent = {"type": "ParentStreamConfig", "stream": owners, "parent_key": "id", "partition_field": "owner"}
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}
    child = stream(
        url=api.url,
        path="/owners/{{ stream_partition.owner }}/things",
        requester=requester,
        retriever={"partition_router": router},
    )
    source = open_source(child, config=credentials())
    for _ in range(4):
        assert len(sync(source).records) == 1
    assert vendor.spent == 0
    assert len(vendor.refreshes) == 8


def test_a_pair_that_could_not_be_kept_at_first_is_kept_with_the_next_request(
    api: Api, open_source: Open, tmp_path: Path
) -> None:
    class FullAtFirst(CredentialFiles):
        full = True

        def keep(self, *values: Any) -> None:
            if self.full:
                self.full = False
                raise ConfigError("no space left")
            super().keep(*values)

    vendor = Vendor(api)
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=credentials())
    source.keep_credentials(FullAtFirst(tmp_path))
    with pytest.raises(ConfigError, match="no space left"):
        sync(source)
    assert len(sync(source).records) == 1
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text())["credentials"]["refresh_token"] == "r1"
    assert vendor.refreshes == ["r0"]


def test_a_pair_of_before_is_not_kept_over_the_one_that_another_process_has_renewed(api: Api, tmp_path: Path) -> None:
    Vendor(api)
    page = manifest(stream(url=api.url, requester=signed(api.url)))
    first, second = (DeclarativeSource.of(page, credentials()) for _ in range(2))
    with closing(first), closing(second):
        for source in (first, second):
            source.keep_credentials(CredentialFiles(tmp_path))
        sync(first)
        (file,) = tmp_path.glob("*.json")
        newer = file.read_text().replace('"r1"', '"r2"').replace('"a1"', '"a2"')
        file.write_text(newer)
        sync(second)
        assert file.read_text() == newer


def test_a_refresh_token_that_somebody_has_entered_meanwhile_takes_the_place_of_the_one_before(
    api: Api, open_source: Open
) -> None:
    class Row:
        kept: dict[str, Any] | None = None

        def renewing(self, key: str) -> Any:
            return nullcontext(credentials(refresh_token="r7"))

        def keep(self, key: str, changed: Any, config: Any) -> None:
            self.kept = config

    vendor, row = Vendor(api), Row()
    vendor.number = 7
    source = open_source(stream(url=api.url, requester=signed(api.url)), config=credentials())
    source.keep_credentials(row)
    assert len(sync(source).records) == 1
    assert (vendor.refreshes, vendor.spent) == (["r7"], 0)
    assert row.kept is not None
    assert row.kept["credentials"]["refresh_token"] == "r8"


def test_a_check_with_other_options_keeps_the_pair_that_it_renews_and_not_its_options(
    api: Api, open_source: Open
) -> None:
    vendor = Vendor(api)
    reported: list[dict[str, Any]] = []
    source = open_source(
        stream(url=api.url, requester=signed(api.url)),
        config={**credentials(), "start": "long ago"},
        check={"type": "CheckStream", "stream_names": ["things"], "config_overrides": {"start": "now", "few": True}},
    )
    source.on_config(reported.append)
    source.check()
    assert vendor.refreshes == ["r0"]
    (config,) = reported
    assert config["credentials"]["refresh_token"] == "r1"
    assert (config["start"], "few" in config) == ("long ago", False)
