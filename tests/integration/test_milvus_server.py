"""A real Milvus server (2.3.5): everything Milvus must do, and what comes with a network and credentials."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from integration.milvus_cases import *  # noqa: F403
from integration.milvus_cases import config, config_of, opened, put, rows, things  # noqa: F401
from integration.milvus_server import TOKEN, free_port, guarded_milvus_server  # noqa: F401

from kitestring.destinations.milvus import Milvus
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.testing.contract import VectorContract
from kitestring.vector.destination import VectorDestination

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host(guarded_milvus_server: str) -> str:  # noqa: F811
    return guarded_milvus_server


numbers = itertools.count()


class TestMilvusServerAsStore(VectorContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_null_is_no_value_for_a_filter": "Milvus 2.3 takes a null of its dynamic field for a value",
    }

    @pytest.fixture(autouse=True)
    def _server(self, host: str) -> Iterator[None]:
        self.indexing = config_of(host, f"contract_{os.getpid()}_{next(numbers)}")["indexing"]
        yield
        with opened({**config_of(host, ""), "indexing": self.indexing}) as destination:
            destination.store.client.drop_collection(self.indexing["collection"])  # type: ignore[attr-defined]

    def make(self, folder: Path, **options: Any) -> VectorDestination:
        return Milvus.load({**options, "indexing": self.indexing})


@pytest.mark.parametrize("index", ["HNSW", "IVF_FLAT", "FLAT", "AUTOINDEX"])
def test_every_index_is_built_with_sensible_parameters(config: dict[str, Any], index: str) -> None:  # noqa: F811
    with opened(config, index={"type": index}, metric="IP") as destination:
        put(destination, [{"id": 1, "text": "a"}])
        assert destination.search("a")[0]["text"] == "a"


def test_a_partition_key_is_refused_where_the_server_loses_rows_with_it(config: dict[str, Any]) -> None:  # noqa: F811
    with opened(config, partition_key="_ab_stream") as destination, pytest.raises(ConfigError, match="loses upserted"):
        destination.begin(things())


def test_airbytes_way_of_writing_the_host_is_taken(config: dict[str, Any], host: str) -> None:  # noqa: F811
    with opened(config, host=host.replace("http://", "tcp://")) as destination:
        assert put(destination, [{"id": 1, "text": "a"}]).written == 1


def test_a_database_that_is_not_there_is_named(host: str) -> None:
    with opened(config_of(host, "things"), db="nowhere") as destination, pytest.raises(ConfigError) as error:
        destination.check()
    assert "indexing.db" in error.value.hint


def test_a_database_of_its_own(config: dict[str, Any], host: str) -> None:  # noqa: F811
    with opened(config) as destination:
        client = destination.store.client
        if "apart" not in client.list_databases():
            client.create_database("apart")
    with opened(config, db="apart") as destination:
        put(destination, [{"id": 1, "text": "a"}])
        assert destination.count(things()) == 1
        destination.store.client.drop_collection(config["indexing"]["collection"])


def test_a_host_that_does_not_answer_is_a_transient_error_within_the_time_limit() -> None:
    began = time.monotonic()
    single_config = config_of(f"http://127.0.0.1:{free_port()}", "things")
    with opened(single_config, timeout=3) as destination, pytest.raises(TransientError) as error:
        destination.check()
    assert time.monotonic() - began < 200
    assert "indexing.host" in error.value.hint or "reached" in error.value.hint


def test_a_host_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        single_config = config_of(f"http://127.0.0.1:{silent.getsockname()[1]}", "things")
        with opened(single_config, timeout=3) as destination, pytest.raises(TransientError):
            destination.check()
        assert time.monotonic() - began < 200


def test_credentials_and_rights_are_checked_before_a_sync(config: dict[str, Any], host: str) -> None:  # noqa: F811
    from pymilvus import MilvusClient

    name = config["indexing"]["collection"]
    root = MilvusClient(host, token=TOKEN)
    if "reader" not in root.list_users():
        root.create_user("reader", "Reader_12345")
        root.create_role("reads")
        root.grant_privilege("reads", "Collection", "Search", "*")
        for privilege in ("DescribeCollection", "ShowCollections"):
            root.grant_privilege("reads", "Global", privilege, "*")
        root.grant_role("reader", "reads")
    with opened(config, auth={"mode": "username_password", "username": "root", "password": "Milvus"}) as destination:
        destination.check()
        assert not destination.store.client.has_collection(name)
        put(destination, [{"id": 1, "text": "a"}])
        destination.check()
        assert len(rows(destination)) == 1
    wrong = [
        {"mode": "token", "token": "root:wrong-pa55"},
        {"mode": "username_password", "username": "root", "password": "wrong-pa55"},
        {"mode": "no_auth"},
    ]
    for auth in wrong:
        with opened(config, auth=auth, timeout=3) as destination, pytest.raises(KitestringError) as error:
            destination.check()
        assert isinstance(error.value, AuthError | TransientError)
        assert "indexing.auth" in error.value.hint or "credentials" in error.value.hint
        assert "wrong-pa55" not in str(error.value)
    reader = {"mode": "username_password", "username": "reader", "password": "Reader_12345"}
    for collection in (name, "not_there_yet"):
        with opened(config, collection=collection, auth=reader) as destination, pytest.raises(AuthError, match="right"):
            destination.check()
    root.close()


def test_the_shadow_of_a_server_lies_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    item = {k: v for k, v in config_of("http://127.0.0.1:1", "things").items() if k != "shadow_folder"}
    with opened(item) as destination:
        assert destination.default_staging_folder() == tmp_path / "kitestring"
