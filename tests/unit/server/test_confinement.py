"""What a configuration may use of the server's machine, by who wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring import registry
from kitestring.config import Config
from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions
from kitestring.server.connectors.confinement import Confinement, is_relative
from kitestring.server.context import Context
from kitestring.server.settings import Settings
from kitestring.server.workspaces import workspaces

WORKSPACE = "11111111-2222-3333-4444-555555555555"
VECTORS = {"embedding": {"mode": "fake"}, "processing": {"chunk_size": 100, "text_fields": ["body"]}}
KEYS = {"key": "k", "secret": "s"}


def confined(home: Path, trusted: bool = False, **settings: Any) -> Confinement:
    return Confinement.of(Settings(home=home, **settings), WORKSPACE, trusted)


def built(confinement: Confinement, kind: Any, name: str, config: dict[str, Any]) -> Any:
    return confinement.build(registry.connector(kind, name, files=False), None, config)


def milvus(host: str, **more: Any) -> dict[str, Any]:
    return {"indexing": {"host": host, "collection": "c"}, **VECTORS, **more}


@pytest.mark.parametrize(
    ("kind", "name", "config"),
    [
        ("source", "airbyte", {"command": ["sh", "-c", "id"]}),
        ("source", "airbyte", {"path": "/bin/sh"}),
        ("source", "airbyte", {"image": "evil/image"}),
        ("source", "airbyte", {"package": "evil", "executable": "sh"}),
        ("source", "singer", {"command": ["sh"]}),
        ("destination", "airbyte", {"command": ["sh"]}),
    ],
)
def test_a_program_is_for_the_admins_of_the_instance(tmp_path: Path, kind: Any, name: str, config: Any) -> None:
    with pytest.raises(ConfigError, match="runs a program on the server") as refused:
        built(confined(tmp_path), kind, name, config)
    assert "KITESTRING_PROGRAMS" in refused.value.hint
    assert built(confined(tmp_path, trusted=True), kind, name, config).program_names() or config.get("executable")


def test_the_operator_lists_programs_that_everybody_may_use(tmp_path: Path) -> None:
    listed = confined(tmp_path, programs="package:airbyte-source-faker==6.2.0, image:airbyte/source-*")
    faker: dict[str, Any] = {"package": "airbyte-source-faker==6.2.0"}
    assert built(listed, "source", "airbyte", faker).package == "airbyte-source-faker==6.2.0"
    assert built(listed, "source", "airbyte", {"image": "airbyte/source-postgres:3.7.0"}).image
    for changed in (
        {"package": "airbyte-source-faker==6.2.1"},
        {**faker, "python": "/srv/python"},
        {**faker, "executable": "other"},
        {**faker, "environment": {"PYTHONPATH": "/srv"}},
    ):
        with pytest.raises(ConfigError, match="runs a program"):
            built(listed, "source", "airbyte", changed)
    with pytest.raises(ConfigError, match="config_file is /etc/passwd"):
        built(listed, "source", "airbyte", {**faker, "config_file": "/etc/passwd"})


@pytest.mark.parametrize(
    "path",
    [
        "/etc/x.db", "~/x.db", "../x.db", "a/../../x.db", "./../x.db", "..", ".", "./", "file:///etc/x.db",
        "file://../x.db", "file:x.db", "md:mine.db", "C:\\x.db", "a\\..\\x.db", "a\n.db", "local://x.db", "//x/y.db",
    ],
)  # fmt: skip
def test_a_path_of_others_stays_below_the_folder_of_the_workspace(tmp_path: Path, path: str) -> None:
    assert not is_relative(path.removeprefix("file://"))
    with pytest.raises(ConfigError):
        built(confined(tmp_path), "destination", "duckdb", {"path": path})


@pytest.mark.parametrize("option", ["path", "destination_path"])
@pytest.mark.parametrize("connector", ["duckdb", "sqlite"])
def test_a_relative_path_is_one_in_the_folder_of_the_workspace(tmp_path: Path, option: str, connector: str) -> None:
    created = built(confined(tmp_path), "destination", connector, {option: "./data/warehouse.db"})
    assert created.path == str(tmp_path / "workspaces" / WORKSPACE / "data" / "warehouse.db")
    admin = built(confined(tmp_path, trusted=True), "destination", connector, {option: "/srv/x.db"})
    assert admin.path == "/srv/x.db"


def test_a_link_in_the_folder_of_the_workspace_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "workspaces" / WORKSPACE
    folder.mkdir(parents=True)
    (folder / "out").symlink_to("/etc")
    for path in ("out/x.db", "out"):
        with pytest.raises(ConfigError, match="leads over a link"):
            built(confined(tmp_path), "destination", "files", {"path": path})


def test_the_operator_lists_places_that_everybody_may_use_and_links_and_dots_lead_out_of_none(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(tmp_path)
    listed = confined(tmp_path / "home", local_paths=f"{shared}/*")
    assert built(listed, "destination", "files", {"path": f"{shared}/a"}).path == f"{shared}/a"
    for path in (f"{shared}/../x", f"{shared}/link/x", str(tmp_path / "sharedx"), str(shared)):
        with pytest.raises(ConfigError):
            built(listed, "destination", "files", {"path": path})


@pytest.mark.parametrize(
    "config",
    [
        milvus("/srv/x.db"),
        milvus("../x.db"),
        milvus("unix:///run/milvus.sock"),
        milvus("http://milvus:19530", shadow_folder="/srv"),
        {**milvus("http://milvus:19530"), "embedding": {"mode": "local", "model_path": "/etc"}},
        *(
            {
                **milvus("https://milvus:19530"),
                "indexing": {"host": "https://milvus", "collection": "c", "tls": {option: "/etc/ssl/private/key.pem"}},
            }
            for option in ("ca_file", "client_cert", "client_key")
        ),
    ],
)
def test_no_option_of_a_vector_store_names_a_file_of_the_machine(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        built(confined(tmp_path), "destination", "milvus", config)
    built(confined(tmp_path, trusted=True), "destination", "milvus", config)


def test_milvus_lite_lives_in_the_folder_of_the_workspace(tmp_path: Path) -> None:
    created = built(confined(tmp_path), "destination", "milvus", milvus("docs.db"))
    folder = tmp_path / "workspaces" / WORKSPACE
    assert created.indexing.host == str(folder / "docs.db")
    assert created.default_staging_folder().is_relative_to(folder)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("local:///etc", {}), ("memory://x", {}), ("zip://a::file:///etc/x.zip", {}), ("sftp://host/x", {}),
        ("simplecache::s3://bucket/x", KEYS), ("filecache::s3://bucket/x", KEYS), ("dir::file:///etc", {}),
        ("reference://x", {"fo": "/etc/passwd"}), ("s3://bucket/x", {}), ("s3://bucket/x", {"profile": "prod"}),
        ("s3://bucket/x", {**KEYS, "profile": "prod"}), ("s3://bucket/x", {**KEYS, "cache_storage": "/etc"}),
        ("s3://bucket/x", {**KEYS, "client_kwargs": {"verify": "/etc/passwd"}}),
        ("s3://bucket/x", {**KEYS, "client_kwargs": {"config": "/etc/passwd"}}),
        ("gs://bucket/x", {}), ("gs://bucket/x", {"token": "/etc/key.json"}), ("gs://bucket/x", {"token": "cloud"}),
        ("gs://b/x", {"token": {"type": "external_account", "credential_source": {"file": "/etc/passwd"}}}),
        ("abfs://container/x", {"account_name": "a"}), ("http://host/x", {}), ("FILE:///etc", {}),
    ],
)  # fmt: skip
def test_files_go_to_object_stores_with_keys_of_their_own(tmp_path: Path, path: str, options: Any) -> None:
    with pytest.raises(ConfigError):
        built(confined(tmp_path), "destination", "files", {"path": path, "storage_options": options})


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("s3://bucket/x", {**KEYS, "endpoint_url": "https://minio", "client_kwargs": {"region_name": "eu"}}),
        ("gs://bucket/x", {"token": {"type": "service_account"}}),
        ("abfs://container/x", {"account_name": "a", "account_key": "k"}),
    ],
)
def test_an_object_store_with_keys_of_its_own_is_everybodys(tmp_path: Path, path: str, options: Any) -> None:
    config = {"path": path, "storage_options": options}
    assert built(confined(tmp_path), "destination", "files", config).path == path


@pytest.mark.parametrize(
    "config",
    [
        {"host": "/run/postgresql"},
        {"host": "@abstract"},
        {"host": "a,/run/postgresql"},
        {"url": "postgresql:///db?host=/run/postgresql"},
        {"url": "postgresql://%2Frun%2Fpostgresql/db"},
        {"url": "postgresql://host/db?passfile=/srv/pgpass"},
        {"url": "postgresql://host/db?service=prod"},
        {"url": "postgresql://host/db?sslkey=/srv/key"},
        {"url": "host=/run/postgresql passfile=/srv/pgpass"},
    ],
)
def test_a_database_is_reached_over_the_network_with_a_password_of_its_own(tmp_path: Path, config: Any) -> None:
    with pytest.raises(ConfigError):
        built(confined(tmp_path), "source", "postgres", config)


def test_libpq_does_not_look_for_passwords_in_the_home_folder(tmp_path: Path) -> None:
    created = built(confined(tmp_path), "source", "postgres", {"host": "db", "password": "p"})
    assert "passfile='/dev/null'" in created._conninfo({})
    created = built(confined(tmp_path), "source", "postgres", {"url": "postgresql://u:p@db/x?sslmode=require"})
    assert "passfile='/dev/null'" in created._conninfo({})
    bare = built(confined(tmp_path), "source", "postgres", {"host": "db"})
    assert "password=''" in bare._conninfo({})
    admin = built(confined(tmp_path, trusted=True), "source", "postgres", {"host": "db", "password": "p"})
    assert "passfile" not in admin._conninfo({})


def test_the_files_of_a_low_code_source_go_to_the_folder_of_the_workspace(tmp_path: Path) -> None:
    config = {
        "subdomain": "acme",
        "start_date": "2024-01-01T00:00:00Z",
        "credentials": {"credentials": "api_token", "email": "a@example.com", "api_token": "t"},
    }
    created = built(confined(tmp_path), "source", "zendesk_support", {**config, "files_folder": "attachments"})
    folder = tmp_path / "workspaces" / WORKSPACE / "attachments"
    assert created._context.values["files"].folder == folder
    with pytest.raises(ConfigError, match="files_folder is /srv"):
        built(confined(tmp_path), "source", "zendesk_support", {**config, "files_folder": "/srv"})


def test_what_a_child_is_not_told_allows_nothing(tmp_path: Path) -> None:
    for limits, end in (({}, {}), (None, {"trusted": "yes"}), ({"home": str(tmp_path), "hardened": False}, {})):
        confinement = Confinement.from_request(limits, end)
        with pytest.raises(ConfigError):
            built(confinement, "source", "airbyte", {"command": ["id"]})
        with pytest.raises(ConfigError):
            built(confinement, "destination", "duckdb", {"path": "x.db"})
    limits = {"home": str(tmp_path), "hardened": False}
    with pytest.raises(ConfigError, match="no workspace is named"):
        built(Confinement.from_request(limits, {"workspace_id": "../x"}), "destination", "duckdb", {"path": "x.db"})


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_every_connector_says_what_it_needs_of_the_network_and_whether_it_runs_programs(kind: Any) -> None:
    for connector in registry.connectors(kind):
        if connector.module:
            facts = connector.load().facts
            assert facts.network is not None, connector.name
            assert facts.programs is not None, connector.name


def test_a_connector_of_another_package_that_says_nothing_is_for_admins(tmp_path: Path) -> None:
    class Foreign:
        """It declares no facts."""

    with pytest.raises(ConfigError, match="does not declare whether it runs programs"):
        confined(tmp_path).apply(Foreign(), "foreign", ["foreign"])
    confined(tmp_path, programs="foreign").apply(Foreign(), "foreign", ["foreign"])


def test_a_name_of_a_connector_is_no_path_on_a_server(tmp_path: Path) -> None:
    manifest = tmp_path / "evil.yaml"
    manifest.write_text("version: 6.0.0")
    with pytest.raises(ConfigError, match="there is no source called"):
        registry.connector("source", str(manifest), files=False)


def test_relative_paths_keep_their_meaning_whoever_changes_a_configuration(context: Context) -> None:
    """Of an admin's they are the server's folder, of another's the workspace's: nothing moves in silence."""

    def create_source(trusted: bool) -> str:
        with context.store.write() as db:
            return endpoints.create(
                context,
                db,
                "destination",
                workspace_id=workspaces.default(db).id,
                name="lake",
                definition=definitions.of_type("destination", "duckdb"),
                config={"path": "lake.db"},
                trusted=trusted,
            )

    def change(actor_id: str, config: dict[str, Any], trusted: bool) -> bool:
        with context.store.write() as db:
            endpoints.change(context, db, "destination", actor_id, config=config, merge=True, trusted=trusted)
            return bool(endpoints.endpoint_of(context, db, "destination", actor_id).trusted)

    editors, admins = create_source(False), create_source(True)
    # An admin helps an editor: it stays in the workspace's folder, until it asks for more than an editor may.
    assert change(editors, {"memory_limit": "1GB"}, trusted=True) is False
    assert change(editors, {"path": "/srv/lake.db"}, trusted=True) is True
    # An editor does not take an admin's file along in silence.
    with pytest.raises(ConfigError, match=r"path is lake\.db, which an instance_admin wrote"):
        change(admins, {"memory_limit": "1GB"}, trusted=False)
    assert change(admins, {"path": "lake.db"}, trusted=False) is True
    assert change(admins, {"path": "other.db"}, trusted=False) is False


def test_an_option_of_the_type_path_is_local_without_a_mark(tmp_path: Path) -> None:
    class Foreign(Config):
        """A connector of another package that marks nothing."""

        facts = Facts(network="none", programs=False)
        folder: Path
        inner: list[Config] = []

    class Inner(Config):
        """Settings inside."""

        file: Path | None = None

    foreign = Foreign.load({"folder": "data"})
    foreign.inner = [Inner(file=Path("/etc/passwd"))]
    with pytest.raises(ConfigError, match="file is /etc/passwd"):
        confined(tmp_path).apply(foreign, "foreign")
    foreign = Foreign.load({"folder": "data"})
    confined(tmp_path).apply(foreign, "foreign")
    assert foreign.folder == tmp_path / "workspaces" / WORKSPACE / "data"
