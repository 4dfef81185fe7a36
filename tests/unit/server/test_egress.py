"""`allow_private_hosts: false`: what a connector cannot reach, however the address comes and however it is written."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kitestring import registry
from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.server.child.egress import EgressPolicy, networks_of
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.context import Context
from kitestring.server.jobs.action_runner import ActionRunner
from kitestring.server.settings import Settings
from kitestring.server.store.store import new_id
from kitestring.source import Source
from kitestring.testing.stand_in import Answer, StandIn, route
from kitestring.vector.embedders.fake import Fake

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "::7f00:1", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="public internet"):
        EgressPolicy().check(address, address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2002:808:808::"])
def test_public_addresses_pass(address: str) -> None:
    EgressPolicy().check(address, address)


def test_the_operator_can_allow_a_network() -> None:
    policy = EgressPolicy(networks_of("10.1.2.0/24, fd00::/8"))
    policy.check("milvus", "10.1.2.9")
    policy.check("milvus", "fd00::9")
    with pytest.raises(ConfigError):
        policy.check("milvus", "10.1.3.9")
    assert networks_of("10.1.2.0/24") == [ipaddress.ip_network("10.1.2.0/24")]
    with pytest.raises(ConfigError, match="allowed_networks"):
        Settings.of({"KITESTRING_ALLOWED_NETWORKS": "ten"})


def behind(code: str, **environment: str) -> dict[str, Any]:
    """What `code` gives for each of its `tries` under the policy, in a process of its own: it cannot be taken back."""
    program = f"""
import json, socket, asyncio, os, ssl, subprocess, threading, urllib.request
from kitestring.http import Session
from kitestring.server.child.egress import EgressPolicy, networks_of
policy = EgressPolicy(networks_of(os.environ.get("ALLOWED", "")))
out = {{}}
def attempt(name, call):
    try:
        out[name] = str(call())
    except BaseException as error:
        out[name] = f"{{type(error).__name__}}: {{error}}"
{textwrap.dedent(code)}
print(json.dumps(out))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


class Inner(StandIn):
    """A service that only this machine should reach."""

    @route("GET", "/secret")
    def secret(self, call: Any) -> Any:
        return {"secret": "inner"}

    @route("GET", "/away")
    def away(self, call: Any) -> Any:
        return Answer(302, None, {"Location": f"{self.url}/secret".replace("127.0.0.1", "127.0.0.2")})


def test_no_way_of_writing_or_opening_leads_to_this_machine() -> None:
    with Inner() as inner:
        port = inner.url.rpartition(":")[2]
        out = behind(
            f"""
            port = {port}
            attempt("before", lambda: socket.create_connection(("127.0.0.1", port)).close())
            policy.install()
            spelled = ("127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "[::ffff:7f00:1]")
            for host in spelled:
                attempt(f"http {{host}}", lambda: Session(max_wait_s=0).get(f"http://{{host}}:{{port}}/secret"))
            attempt("urllib", lambda: urllib.request.urlopen(f"http://localhost:{{port}}/secret").read())
            attempt("raw", lambda: socket.socket().connect(("localhost", port)))
            attempt("raw_ex", lambda: socket.socket().connect_ex(("127.0.0.1", port)))
            attempt("below", lambda: super(socket.socket, socket.socket()).connect(("127.0.0.1", port)))
            attempt("below by name", lambda: super(socket.socket, socket.socket()).connect(("localhost", port)))
            attempt("datagram", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)))
            attempt("unix", lambda: socket.socket(socket.AF_UNIX).connect("/nowhere"))
            async def stream():
                await asyncio.open_connection("localhost", port)
            attempt("asyncio", lambda: asyncio.run(stream()))
            def in_thread():
                found = []
                def go():
                    try: socket.create_connection(("127.0.0.1", port)); found.append("reached")
                    except BaseException as e: found.append(type(e).__name__)
                t = threading.Thread(target=go); t.start(); t.join()
                return found
            attempt("thread", in_thread)
            attempt("program", lambda: subprocess.run(["true"]))
            attempt("shell", lambda: os.system("true"))
            with policy.trusted():
                attempt("trusted", lambda: Session().get(f"http://127.0.0.1:{{port}}/secret"))
            """
        )
    assert out.pop("before") == "None"
    assert out.pop("trusted") == "{'secret': 'inner'}"
    assert out.pop("thread") == "['ConfigError']"
    assert len(out) >= 17
    assert {name: word for name, word in out.items() if not word.startswith("ConfigError")} == {}


def test_a_redirect_leads_nowhere_either_and_an_allowed_network_does() -> None:
    with Inner() as inner:
        out = behind(
            f"""
            policy.install()
            attempt("allowed", lambda: Session().get("{inner.url}/secret"))
            attempt("redirect", lambda: Session(max_wait_s=0).get("{inner.url}/away"))
            """,
            ALLOWED="127.0.0.1/32",
        )
        assert [call.path for call in inner.requests] == ["/secret", "/away"]
    assert out["allowed"] == "{'secret': 'inner'}"
    assert out["redirect"].startswith("ConfigError: 127.0.0.2")


def test_a_name_that_leads_elsewhere_the_second_time_gets_the_address_that_was_checked() -> None:
    out = behind(
        """
        answers = iter(["93.184.216.34", "127.0.0.1"])
        asked = []
        def rebinding(host, port, *more, **words):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]
        socket.getaddrinfo = rebinding
        policy.install()
        seen = []
        import sys
        sys.addaudithook(lambda event, args: seen.append(args[1]) if event == "socket.connect" else None)
        def go():
            one = socket.socket(); one.settimeout(0.01)
            try: one.connect(("rebinding.example", 80))
            except (OSError, TimeoutError): pass
            return [seen, asked]
        attempt("first", go)
        attempt("second", lambda: socket.socket().connect(("rebinding.example", 80)))
        """
    )
    assert out["first"] == "[[('93.184.216.34', 80)], ['rebinding.example']]"
    assert out["second"].startswith("ConfigError")


OPENAI = {"mode": "openai", "openai_key": "key"}
TEXT = {"chunk_size": 100, "text_fields": ["body"]}


def indexing(host: str) -> dict[str, Any]:
    return {"host": host, "collection": "c"}


@pytest.mark.parametrize(
    ("kind", "connector", "config"),
    [
        ("destination", "duckdb", {"path": "./x.duckdb"}),
        ("destination", "duckdb", {"destination_path": "/srv/x.duckdb"}),
        *(
            ("destination", "duckdb", {"path": path})
            for path in (
                "md:warehouse",
                "https://1.1.1.1/x.duckdb",
                "s3://bucket/x.duckdb",
                "quack:localhost",
            )
        ),
        ("destination", "sqlite", {"path": "./x.db"}),
        ("destination", "sqlite", {"path": "file:/etc/x.db?mode=rw"}),
        ("destination", "postgres", {"host": "/run/postgresql"}),
        ("destination", "postgres", {"url": "postgresql:///db"}),
        (
            "destination",
            "pgvector",
            {"indexing": {"host": "/run/postgresql"}, "embedding": OPENAI, "processing": TEXT},
        ),
        ("destination", "files", {"path": "./data"}),
        ("destination", "files", {"path": "file:///etc"}),
        ("destination", "files", {"path": "simplecache::s3://bucket/x"}),
        ("destination", "files", {"path": "sftp://host/x"}),
        ("destination", "milvus", {"indexing": indexing("./x.db"), "embedding": OPENAI, "processing": TEXT}),
        ("destination", "milvus", {"indexing": indexing("unix:///run/x"), "embedding": OPENAI, "processing": TEXT}),
        (
            "destination",
            "milvus",
            {
                "indexing": indexing("http://1.1.1.1"),
                "embedding": {"mode": "local", "model_path": "/etc"},
                "processing": TEXT,
            },
        ),
        (
            "destination",
            "milvus",
            {
                "indexing": indexing("http://1.1.1.1"),
                "embedding": OPENAI,
                "processing": TEXT,
                "shadow_folder": "/srv",
            },
        ),
        (
            "destination",
            "milvus",
            {
                "indexing": {**indexing("https://1.1.1.1"), "tls": {"ca_file": "/etc/ssl/a.pem"}},
                "embedding": OPENAI,
                "processing": TEXT,
            },
        ),
        ("source", "postgres", {"host": "/run/postgresql"}),
        ("source", "postgres", {"url": "postgresql://1.1.1.1/x?passfile=/srv/pgpass"}),
        ("source", "singer", {"package": "tap"}),
        ("source", "airbyte", {"command": ["sh"]}),
        ("destination", "airbyte", {"image": "x"}),
    ],
)
def test_what_is_of_the_machine_is_kept_from_everybody_on_a_hardened_server(
    kind: Any, connector: str, config: dict[str, Any]
) -> None:
    settings = Settings(home=Path("/data"), allow_private_hosts=False)
    for trusted in (True, False):
        confinement = Confinement.of(settings, new_id(), trusted)
        with pytest.raises(ConfigError, match=r"own machine|separate program"):
            confinement.build(registry.connector(kind, connector), None, config)


MILVUS = {"embedding": {"mode": "fake"}, "processing": TEXT}


@pytest.mark.parametrize(
    ("kind", "connector", "config"),
    [
        ("destination", "milvus", {"indexing": indexing("http://127.0.0.1:19530"), **MILVUS}),
        ("destination", "milvus", {"indexing": indexing("https://localhost"), **MILVUS}),
        ("destination", "milvus", {"indexing": indexing("https://1.1.1.1@127.0.0.1"), **MILVUS}),
        ("destination", "milvus", {"indexing": indexing("https://1.1.1.1/global-cluster"), **MILVUS}),
        ("source", "postgres", {"host": "localhost"}),
        ("source", "postgres", {"host": "1.1.1.1,127.0.0.1"}),
        ("source", "postgres", {"url": "postgresql://1.1.1.1/x?hostaddr=127.0.0.1"}),
        ("source", "postgres", {"url": "postgresql://1.1.1.1/x?host=127.0.0.1"}),
        ("source", "postgres", {"url": "postgresql://u:p@1.1.1.1:5432,127.0.0.1:5433/x"}),
        ("destination", "postgres", {"host": "127.0.0.1"}),
        ("destination", "pgvector", {"indexing": {"host": "localhost"}, **MILVUS}),
        # libpq reads the user up to the @, other readers of addresses the host up to the question mark.
        ("source", "postgres", {"url": "postgresql://1.1.1.1:a?b@127.0.0.1/x"}),
        ("source", "postgres", {"url": "postgresql://1.1.1.1#@127.0.0.1/x"}),
        ("source", "postgres", {"url": "postgresql://%31%32%37.0.0.1/x"}),
    ],
)
def test_a_native_driver_is_not_sent_to_a_private_address(kind: Any, connector: str, config: dict[str, Any]) -> None:
    instance = registry.connector(kind, connector).build(config)
    instance.confine(lambda option, path: path)
    with pytest.raises(ConfigError, match=r"not an address of the public internet|global cluster"):
        EgressPolicy().pin(instance)


def conninfo(config: dict[str, Any], **networks: str) -> dict[str, str]:
    """What libpq is given by a pinned source, read as libpq reads it."""
    import psycopg

    instance = registry.connector("source", "postgres").build(config)
    instance.confine(lambda option, path: path)
    EgressPolicy(networks_of(networks.get("allowed", ""))).pin(instance)
    return {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(instance._conninfo({})).items()}


def test_postgres_keeps_the_name_for_the_certificate_and_connects_to_the_checked_address() -> None:
    settings = conninfo({"host": "localhost", "password": "p"}, allowed="127.0.0.0/8, ::1/128")
    assert (settings["host"], settings["hostaddr"]) == ("localhost", "127.0.0.1")
    replicas = conninfo({"url": "postgresql://u:a%40b+c@1.1.1.1:5433,8.8.8.8/shop?target_session_attrs=read-write"})
    assert {name: replicas[name] for name in ("host", "hostaddr", "port", "user", "password", "dbname")} == {
        "host": "1.1.1.1,8.8.8.8",
        "hostaddr": "1.1.1.1,8.8.8.8",
        "port": "5433,5432",
        "user": "u",
        "password": "a@b+c",
        "dbname": "shop",
    }
    assert replicas["target_session_attrs"] == "read-write"


def test_no_value_of_a_connection_hides_what_comes_behind_it() -> None:
    for config in ({"host": "1.1.1.1\0", "password": "p"}, {"host": "1.1.1.1", "username": "x\0"}):
        with pytest.raises(ConfigError, match=r"is not known|NUL"):
            conninfo(config)
    instance: Any = registry.connector("source", "postgres").build(
        {"url": "postgresql://1.1.1.1/x?a%20hostaddr%3D127.0.0.1%20b=1"}
    )
    assert "a url that cannot be read" in instance.machine_use()
    quoted = conninfo({"host": "1.1.1.1", "username": "x' hostaddr='127.0.0.1", "password": "\\"})
    assert (quoted["hostaddr"], quoted["user"], quoted["password"]) == ("1.1.1.1", "x' hostaddr='127.0.0.1", "\\")


def test_a_driver_gets_one_address_and_all_addresses_of_a_host_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["2606:4700:4700::1111", "1.1.1.1"]

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert EgressPolicy().resolve("db.example", 5432) == "1.1.1.1"  # not every network has IPv6
    answers.append("10.0.0.1")
    with pytest.raises(ConfigError, match=r"db\.example \(10\.0\.0\.1\)"):
        EgressPolicy().resolve("db.example", 5432)
    answers[:] = ["2606:4700:4700::1111"]
    instance: Any = registry.connector("destination", "milvus").build(
        {"indexing": indexing("http://db.example"), **MILVUS}
    )
    with pytest.raises(ConfigError, match="the driver accepts no IPv6 address"):
        EgressPolicy().pin(instance)


def test_two_ends_in_one_process_are_pinned_apart_and_the_environment_counts_for_neither(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psycopg

    for name in ("PGHOSTADDR", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGSSLROOTCERT"):
        monkeypatch.setenv(name, "9.9.9.9")
    before = dict(os.environ)
    ends = [conninfo({"host": host, "port": 5433}) for host in ("1.1.1.1", "8.8.8.8")]
    assert [end["hostaddr"] for end in ends] == ["1.1.1.1", "8.8.8.8"]
    assert dict(os.environ) == before
    plain = registry.connector("source", "postgres").build({"host": "1.1.1.1"})
    for text in (ends[0], psycopg.conninfo.conninfo_to_dict(plain._conninfo({}))):
        # The connection's value, also an empty text, counts before a variable.
        assert "hostaddr" in text
    assert not {"9.9.9.9"} & set(ends[0].values())


def test_a_milvus_is_pinned_and_keeps_its_name(tmp_path: Path) -> None:
    config = {"indexing": indexing("http://localhost"), **MILVUS}
    instance: Any = registry.connector("destination", "milvus").build(config)
    before = instance.place()
    EgressPolicy(networks_of("127.0.0.0/8, ::1/128")).pin(instance)
    assert instance.indexing.address == "127.0.0.1"
    assert instance.place() == before
    lite: Any = registry.connector("destination", "milvus").build({"indexing": indexing(f"{tmp_path}/x.db"), **MILVUS})
    EgressPolicy().pin(lite)
    assert lite.indexing.address is None


def test_what_declares_too_little_is_refused_with_what_to_declare(tmp_path: Path) -> None:
    hardened = Confinement.of(Settings(home=tmp_path, allow_private_hosts=False), new_id(), True)

    class Silent(Source):
        """It says nothing of itself."""

    class Half(Source):
        """It says one half."""

        facts = Facts(programs=False)

    class Native(Source):
        """Its driver has sockets of its own, and it has no `pin`."""

        facts = Facts(network="native", programs=False)

    with pytest.raises(ConfigError, match="silent does not declare its network and programs") as silent:
        hardened.apply(Silent(), "silent")
    assert "facts = Facts(" in silent.value.hint
    with pytest.raises(ConfigError, match="half does not declare its network, "):
        hardened.apply(Half(), "half")
    hardened.apply(Native(), "native")
    with pytest.raises(ConfigError, match="Native connects with its own driver"):
        EgressPolicy().pin(Native())


def test_an_embedder_inside_a_destination_is_judged_too(tmp_path: Path) -> None:
    class Silent(Fake):
        """An embedder of another package that says nothing of itself."""

        facts = Facts()

    class Native(Fake):
        """One with a client of its own."""

        facts = Facts(network="native", programs=False)

    instance: Any = registry.connector("destination", "milvus").build(
        {"indexing": indexing("http://1.1.1.1"), **MILVUS}
    )
    hardened = Confinement.of(Settings(home=tmp_path, allow_private_hosts=False), new_id(), True)
    hardened.apply(instance, "milvus")
    instance.embedding = Silent()
    with pytest.raises(ConfigError, match="fake does not declare"):
        hardened.apply(instance, "milvus")
    instance.embedding = Native()
    with pytest.raises(ConfigError, match="Native connects with its own driver"):
        EgressPolicy().pin(instance)


def test_a_source_of_a_hardened_server_cannot_read_from_this_machine(context: Context) -> None:
    extractor = {"type": "DpathExtractor", "field_path": []}
    manifest = {
        "type": "DeclarativeSource",
        "version": "6.0.0",
        "check": {"type": "CheckStream", "stream_names": ["x"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "x",
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {"type": "HttpRequester", "url_base": "{{ config['base'] }}", "path": "/secret"},
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": extractor,
                    },
                },
                "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
            }
        ],
        "spec": {"type": "Spec", "connection_specification": {"properties": {"base": {"type": "string"}}}},
    }
    with Inner() as inner:
        request = {"source": {"connector": "", "manifest": manifest, "config": {"base": inner.url}}, "stream": "x"}
        assert context.runner.run("read", request)["records"]
        hardened = ActionRunner(Settings(home=context.settings.home, allow_private_hosts=False))
        try:
            # What the request says of it counts for nothing.
            with pytest.raises(ConfigError, match="public internet"):
                hardened.run("read", {**request, "allow_private_hosts": True})
            # The builder's reading neither, nor may it put files here.
            most = {"most_slices": 1, "most_pages": 1, "most_records": 1}
            built = {"manifest": manifest, "stream": "x", "most": most}
            with pytest.raises(ConfigError, match="own machine"):
                hardened.run("manifest_read", {**built, "config": {"base": inner.url, "files_folder": "/srv"}})
        finally:
            hardened.close()


def test_the_credentials_of_the_machine_are_for_what_its_operator_chose() -> None:
    """A source that reads `s3://…` without keys of its own would use those of the server."""
    credentials = behind(
        """
        def seen():
            return {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "GOOGLE_API_KEY")}

        def trusted():
            with policy.trusted():
                return seen()

        attempt("before", seen)
        policy.install()
        attempt("connector", seen)
        attempt("operator", trusted)
        attempt("after", seen)
        """,
        AWS_ACCESS_KEY_ID="AKIA",
        GOOGLE_API_KEY="key",
    )
    own = str({"AWS_ACCESS_KEY_ID": "AKIA", "AWS_CONFIG_FILE": None, "GOOGLE_API_KEY": "key"})
    nothing = str({"AWS_ACCESS_KEY_ID": None, "AWS_CONFIG_FILE": os.devnull, "GOOGLE_API_KEY": None})
    assert credentials == {"before": own, "connector": nothing, "operator": own, "after": nothing}
