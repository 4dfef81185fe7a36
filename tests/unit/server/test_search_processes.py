"""Searches of a server stay warm: what is open is used again, given to a job, and never shared between workspaces."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connections import attempts_of, ended, enqueue, new_connection, until
from fastapi.testclient import TestClient
from test_connections import create_endpoint

from kitestring import registry
from kitestring.engine import sync
from kitestring.errors import ConfigError, TransientError
from kitestring.server.app import create_app
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.jobs.worker import Worker
from kitestring.server.retrieval.destination_reads import last_write, stays_open
from kitestring.server.settings import Settings
from kitestring.server.store.tables import destinations
from kitestring.testing.memory import MemorySource
from kitestring.testing.stand_in import Answer, Call, StandIn, route

pytestmark = pytest.mark.slow
OWN = "/api/kitestring/v1"
EMBEDDED: dict[str, Any] = {
    "processing": {"chunk_size": 20, "text_fields": ["email"], "metadata_fields": ["id", "email"]},
    "embedding": {"mode": "fake"},
}


def of_place(path: Path, **embedding: Any) -> dict[str, Any]:
    config = {**EMBEDDED, "indexing": {"host": str(path), "collection": "users"}}
    return {**config, "embedding": embedding} if embedding else config


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of Milvus Lite with three users."""
    path = tmp_path_factory.mktemp("filled") / "milvus.db"
    users = [{"id": number, "email": f"user{number}@example.com"} for number in range(3)]
    destination = registry.destination("milvus", of_place(path))
    result = sync(MemorySource(records={"users": users}, primary_keys={"users": "id"}), destination, ["users"])
    assert result.ok, result.as_dict()
    return path


@pytest.fixture
def place(collection: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(collection, tmp_path / "milvus.db"))


@pytest.fixture
def server(home: Path, fork_server: ForkServer) -> Iterator[Callable[..., Context]]:
    """Servers with settings of their own."""
    contexts: list[Context] = []

    def build(**settings: Any) -> Context:
        context = Context.of(Settings(home=home, **settings))
        context.runner.fork_server = fork_server
        contexts.append(context)
        return context

    yield build
    for context in contexts:
        context.searches.close()
        context.store.close()


def found(context: Context, end: Endpoint, text: str = "x", limit_s: float = 60.0) -> int:
    """How many chunks a search finds."""
    return len(run(context, "search", end, {"text": text, "limit": 10}, limit_s))


def run(context: Context, action: str, end: Endpoint, request: dict[str, Any], limit_s: float = 60.0) -> Any:
    request = {**request, "destination": end.body()}
    return context.searches.run(action, request, destination_id=end.id, generation="", limit_s=limit_s, place=None)


def end_of(path: Path, workspace_id: str = "aaaa", trusted: bool = True, **embedding: Any) -> Endpoint:
    config = of_place(path, **embedding)
    return Endpoint("milvus", config, f"{workspace_id} {path}", workspace_id=workspace_id, trusted=trusted)


def writing(context: Context, place: Path, source: dict[str, Any], streams: list[dict[str, Any]]) -> tuple[str, str]:
    """A connection into the collection, and its destination, which can be searched over the API."""
    connection_id = new_connection(context, source, of_place(place), streams, destination_connector="milvus")
    with context.store.write() as db:
        (row,) = endpoints.find_all(db, "destination")
        definition_id = definitions.of_type("destination", "milvus").id
        db.execute(destinations.update().values(definition_id=definition_id))
        assert last_write(db, row.id) == ""
    return connection_id, row.id


def test_a_search_uses_the_process_of_the_last_one_and_a_killed_process_is_replaced(
    context: Context, place: Path, tmp_path: Path
) -> None:
    client = TestClient(create_app(context))
    destination = create_endpoint(context, "destination", "milvus", of_place(place))

    def searched(**body: Any) -> Any:
        return client.post(f"{OWN}/destinations/{destination}/search", json={"text": "x", **body})

    first = searched()
    (pid,) = context.searches.pids()
    assert (first.status_code, len(first.json()["data"])) == (200, 3), first.text
    assert searched().json() == first.json()
    # The pages of the data are read by the same process, and a refused filter does not end it.
    rows = client.post(f"{OWN}/destinations/{destination}/data/rows", json={"stream": "users"}).json()
    assert rows["total"] == 3
    refused = searched(where={"emial": "x"})
    assert (refused.status_code, "did you mean email?" in refused.json()["detail"]) == (422, True)
    assert context.searches.pids() == [pid]
    # A test of the destination opens the same files in a process of its own.
    assert client.post(f"{OWN}/destinations/{destination}/check").json()["status"] == "succeeded"
    os.kill(pid, signal.SIGKILL)
    assert searched().json() == first.json()
    (other,) = context.searches.pids()
    assert other != pid
    # A changed configuration is used at once.
    with context.store.write() as db:
        config = of_place(tmp_path / "empty.db")
        endpoints.change(context, db, "destination", destination, trusted=True, config=config)
    assert (searched().status_code, "has no collection users" in searched().json()["detail"]) == (422, True)
    with context.store.write() as db:
        endpoints.change(context, db, "destination", destination, trusted=True, config=of_place(place))
    assert searched().json() == first.json()
    assert context.searches.pids() == [other]


def test_a_job_gets_the_files_that_a_search_has_open_and_the_next_search_finds_what_it_wrote(
    context: Context, work: Callable[[], Worker], place: Path
) -> None:
    client = TestClient(create_app(context))
    connection_id, destination = writing(context, place, {"count": 10}, [{"name": "users", "write_mode": "append"}])
    searched = f"{OWN}/destinations/{destination}/search"

    def hits() -> int:
        answer = client.post(searched, json={"text": "x", "limit": 100})
        assert answer.status_code == 200, answer.text
        return len(answer.json()["data"])

    assert hits() == 3
    (pid,) = context.searches.pids()
    refusals: set[str] = set()
    done = threading.Event()

    def search_on() -> None:
        while not done.wait(0.2):
            answer = client.post(searched, json={"text": "x"})
            if answer.status_code != 200:
                refusals.add(answer.json()["detail"])

    searching = threading.Thread(target=search_on)
    searching.start()
    work()
    number = enqueue(context, connection_id)
    job = ended(context, number)
    done.set()
    searching.join(300)
    assert (job.status, job.attempts, job.failures) == ("succeeded", 1, 0), attempts_of(context, number)
    assert refusals <= {
        f"job {number} is writing to milvus.db, which one process at a time can open. Try again when the job has ended."
    }
    assert hits() == 13
    assert context.searches.pids() == [pid]
    with context.store.read() as db:
        assert last_write(db, destination) == f"{number} succeeded 2"


def test_a_job_of_another_process_gets_the_files_too(context: Context, place: Path) -> None:
    """The claim is all that this process sees of such a job."""
    client = TestClient(create_app(context))
    connection_id, destination = writing(context, place, {}, [])
    searched = f"{OWN}/destinations/{destination}/search"
    assert client.post(searched, json={"text": "x"}).status_code == 200
    assert context.searches.held() == [str(place)]
    number = enqueue(context, connection_id)
    assert context.queue.claim("another worker") is not None
    other = registry.destination("milvus", of_place(place))
    other.check()  # waits as long as a reader, which is less than a sync, and than an idle place stays open
    other.close()
    assert context.searches.held() == []
    refused = client.post(searched, json={"text": "x"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert f"job {number} is writing to milvus.db" in refused.json()["detail"]


class Slow(StandIn):
    """An embeddings API that never answers for the text `hang`."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    @route("POST", "/v1/embeddings")
    def embed(self, call: Call) -> Answer:
        texts = call.json()["input"]
        if "hang" in texts:
            self.released.wait(300)
        vectors = [{"index": number, "embedding": [0.5] * 1536} for number in range(len(texts))]
        return Answer(200, {"data": vectors})


def test_a_search_that_hangs_delays_no_other_and_its_process_is_replaced(
    server: Callable[..., Context], place: Path, tmp_path: Path
) -> None:
    context = server()
    other = Path(shutil.copytree(place, tmp_path / "other.db"))
    with Slow() as api:
        embedder = {"mode": "openai_compatible", "base_url": f"{api.url}/v1", "dimensions": 1536}
        slow, quick = end_of(place, **embedder), end_of(other)
        assert found(context, slow, "well") == found(context, quick) == 3
        (pid,) = context.searches.pids()
        errors: list[TransientError] = []

        def hang() -> None:
            try:
                found(context, slow, "hang", limit_s=3.0)
            except TransientError as error:
                errors.append(error)

        hanging = threading.Thread(target=hang)
        hanging.start()
        assert found(context, quick) == 3
        assert not errors
        assert context.searches.pids() == [pid]
        hanging.join(300)
        assert [error.message for error in errors] == ["search did not answer within 3 s"]
        # The next one has another process at once; the old one ends.
        assert found(context, quick) == 3
        assert context.searches.pids() != [pid]
        until(lambda: Path(f"/proc/{pid}").exists(), lambda runs: not runs)
        api.released.set()


def test_no_process_serves_two_workspaces_or_both_an_admin_and_others(
    server: Callable[..., Context], place: Path, home: Path
) -> None:
    context = server(search_processes=2)
    assert found(context, end_of(place, "aaaa")) == 3
    (first,) = context.searches.pids()
    # The folder of the workspace: what others than an admin may use.
    shutil.copytree(place, home / "workspaces" / "aaaa" / "own.db")
    own = end_of(Path("own.db"), "aaaa", trusted=False)
    assert found(context, own) == 3
    pids = context.searches.pids()
    assert (len(pids), pids[0]) == (2, first)
    with pytest.raises(ConfigError, match="workspace's own folder only"):
        found(context, end_of(place, "aaaa", trusted=False))
    # A third process takes the place of the least recently used one.
    with pytest.raises(ConfigError, match="has no collection"):
        found(context, replace(own, workspace_id="bbbb"))
    assert first not in context.searches.pids()
    assert len(context.searches.pids()) == 2
    until(lambda: Path(f"/proc/{first}").exists(), lambda runs: not runs)


def test_a_process_ends_when_nobody_searches_or_it_holds_too_much(server: Callable[..., Context], place: Path) -> None:
    context = server(search_idle_s=0.5)
    assert found(context, end_of(place)) == 3
    (pid,) = context.searches.pids()
    until(lambda: Path(f"/proc/{pid}").exists(), lambda runs: not runs)
    assert context.searches.pids() == []
    small = server(search_memory_mb=100)
    small.searches.settings = small.settings.model_copy(update={"search_memory_mb": 1})
    assert found(small, end_of(place)) == 3
    assert small.searches.pids() == []
    assert found(small, end_of(place)) == 3


def test_a_hardened_server_keeps_the_process_from_private_addresses(server: Callable[..., Context]) -> None:
    context = server(allow_private_hosts=False)
    with Slow() as api:
        embedder = {"mode": "openai_compatible", "base_url": f"{api.url}/v1", "dimensions": 1536}
        indexing = {"host": "https://192.0.2.1:19530", "collection": "users"}
        end = Endpoint("milvus", {**EMBEDDED, "indexing": indexing, "embedding": embedder}, "d", workspace_id="aaaa")
        request = {"text": "x", "allow_private_hosts": True, "machine": {}}
        with pytest.raises(ConfigError, match="public internet"):
            run(context, "search", end, request)
        local = replace(end, config=of_place(Path("milvus.db")))
        with pytest.raises(ConfigError, match="own machine"):
            run(context, "search", local, request)
        assert not api.calls()
    # While a reference is looked up the credentials of the machine are visible: such a search has its own process.
    assert stays_open(end, private_hosts=False)
    key = {**embedder, "api_key": "${env:KITESTRING_CONFIG_KEY}"}
    assert not stays_open(replace(end, config={**end.config, "embedding": key}), private_hosts=False)
    assert stays_open(replace(end, config={**end.config, "embedding": key}), private_hosts=True)
    assert not stays_open(Endpoint("sqlite", {"path": "x"}), private_hosts=True)
    with pytest.raises(Exception, match="unknown action of a search process"):
        run(context, "check", end, {})


def test_each_search_has_its_own_process_where_none_is_to_stay(server: Callable[..., Context], place: Path) -> None:
    context = server(search_processes=0)
    client = TestClient(create_app(context))
    destination = create_endpoint(context, "destination", "milvus", of_place(place))
    assert len(client.post(f"{OWN}/destinations/{destination}/search", json={"text": "x"}).json()["data"]) == 3
    assert context.searches.pids() == []
