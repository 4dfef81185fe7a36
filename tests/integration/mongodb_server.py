"""A MongoDB for tests: SecantusDB, which speaks MongoDB's protocol on loopback. One for each worker of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

numbers = itertools.count(1)


@dataclass(frozen=True)
class MongoDatabase:
    """A database for one test."""

    uri: str
    client: Any
    name: str

    @property
    def config(self) -> dict[str, Any]:
        return {"connection_string": self.uri, "databases": [self.name]}

    def __getitem__(self, collection: str) -> Any:
        return self.client[self.name][collection]


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    pymongo = pytest.importorskip("pymongo")
    secantus = pytest.importorskip("secantus")
    folder = tmp_path_factory.mktemp("mongodb")
    server = secantus.SecantusDBServer(storage_path=str(folder), cache_size="64M", durable=False)
    with server, pymongo.MongoClient(server.uri) as client:
        yield server.uri, client


@pytest.fixture
def mongodb(mongodb_server: tuple[str, Any]) -> MongoDatabase:
    return MongoDatabase(*mongodb_server, f"shop{next(numbers)}")


@pytest.fixture(scope="class")
def class_mongodb(mongodb_server: tuple[str, Any]) -> MongoDatabase:
    return MongoDatabase(*mongodb_server, f"shop{next(numbers)}")
