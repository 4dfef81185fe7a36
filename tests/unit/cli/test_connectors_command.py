"""The catalog: every connector is found; installing keeps a version with its checksum; upgrading is asked for."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from connector_registry import BREAKING, MANIFEST, Registry, entry
from typer.testing import Result

from kitestring.airbyte import connector_index, installed_connectors
from kitestring.testing.stand_in import Call, Faults, StandIn, route

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with one manifest, and a home of this test's own."""
    monkeypatch.setenv("KITESTRING_HOME", str(folder / "home"))
    with Registry() as registry:
        monkeypatch.setenv("KITESTRING_REGISTRY_URL", registry.files_url)
        registry.publish(entry("source-zoo", "1.4.0", title="City Zoo"))
        yield registry


class Zoo(StandIn):
    name = "zoo"

    @route("GET", "/beasts")
    def beasts(self, call: Call) -> Any:
        return {"data": [{"id": 1}, {"id": 2}]}


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.output


def test_the_shipped_index_is_small_and_holds_facts_alone() -> None:
    assert connector_index.SHIPPED.stat().st_size < 300_000
    index = connector_index.read(connector_index.SHIPPED, 0, False)
    assert len(index.entries) > 600
    assert {single_entry.road for single_entry in index.entries} == {"manifest", "package", "image"}
    pokeapi = index.get("source", "pokeapi")
    assert pokeapi is not None
    assert (pokeapi.name, pokeapi.licence, pokeapi.road) == ("source-pokeapi", "ELv2", "manifest")
    assert all(single_entry.version and single_entry.id and not single_entry.changes for single_entry in index.entries)
    assert (
        max(
            len(part)
            for single_entry in index.entries
            for part in (single_entry.title, single_entry.support, single_entry.licence)
        )
        < 80
    )


def test_everything_is_found_by_a_word_or_by_a_misspelt_name(run: Run, folder: Path) -> None:
    rows = json.loads(ok(run("connectors", "search", "git", "--json")))
    assert {("github", "there"), ("source-gitlab", "available")} <= {(row["name"], row["status"]) for row in rows}
    assert "source-pokeapi" in ok(run("connectors", "search", "pokapi"))
    assert "kitestring manifest new" in refused(run("connectors", "search", "xyzzy-unheard-of"))
    words = json.loads(ok(run("connectors", "search", "google", "ads", "--json")))
    assert words[0]["name"] == "source-google-ads"


def test_a_list_shows_what_is_there_and_with_all_what_could_be(run: Run, folder: Path) -> None:
    content = json.loads(ok(run("connectors", "list", "--json")))
    assert {row["status"] for row in content} == {"there"}
    every = json.loads(ok(run("connectors", "list", "--all", "--kind", "destination", "--json")))
    assert {"milvus", "destination-milvus"} <= {row["name"] for row in every}
    assert {row["kind"] for row in every} == {"destination"}


def test_a_connector_that_is_not_installed_says_how_to_install_it(run: Run, folder: Path) -> None:
    assert "kitestring connectors install source-pokeapi" in refused(run("discover", "source-pokeapi"))
    assert "kitestring connectors install source-pokeapi@0.1.0" in refused(run("discover", "source-pokeapi@0.1.0"))
    assert "did you mean source-pokeapi?" in refused(run("discover", "source-pokapi"))
    out = ok(run("connectors", "show", "source-pokeapi"))
    assert "licence ELv2" in out
    assert "not installed: kitestring connectors install source-pokeapi" in out


def test_an_installed_manifest_runs_by_its_name_and_without_the_registry(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    out = ok(run("connectors", "install", "source-zoo"))
    assert "source-zoo@1.4.0 installed (City Zoo, licence ELv2)" in out
    assert "not an open-source licence" in out
    server.close()
    with Zoo() as zoo:
        for name in ("source-zoo", "zoo", "airbyte/source-zoo", "source-zoo@1.4.0"):
            assert run("read", name, "beasts", "-c", f"url={zoo.url}").output.splitlines() == ['{"id":1}', '{"id":2}']
    assert "is there already" in ok(run("connectors", "install", "source-zoo@1.4.0"))
    assert "key (string, secret)" in ok(run("connectors", "show", "source-zoo"))
    assert "key (string, secret)" in ok(run("spec", "source-zoo"))
    assert [row["status"] for row in json.loads(ok(run("connectors", "search", "zoo", "--json")))] == ["installed"]


def test_a_manifest_that_was_changed_after_it_was_fetched_is_refused(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    ok(run("connectors", "install", "source-zoo"))
    installed = installed_connectors.installed("source", "source-zoo")
    assert installed is not None
    (installed.folder / "manifest.yaml").write_text(MANIFEST.replace("beasts", "guests"))
    assert "was changed after it was fetched" in refused(run("discover", "source-zoo", "-c", "url=http://127.0.0.1:1"))
    assert "was changed after it was fetched" in refused(run("connectors", "install", "source-zoo"))
    ok(run("connectors", "install", "source-zoo", "--force"))
    assert "beasts" in ok(run("discover", "source-zoo", "-c", "url=http://127.0.0.1:1"))


def test_what_is_no_manifest_is_not_installed(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    for content in (b"<html>please log in</html>", b"streams: [", b"\xff\xfe"):
        server.files["source-zoo", "1.4.0", "manifest.yaml"] = content
        assert "is invalid" in refused(run("connectors", "install", "source-zoo"))
    del server.files["source-zoo", "1.4.0", "manifest.yaml"]
    assert "has no metadata/airbyte/source-zoo/1.4.0/manifest.yaml" in refused(
        run("connectors", "install", "source-zoo")
    )
    assert list(installed_connectors.installations()) == []
    assert not list(installed_connectors.folder().rglob("*.tmp"))


def test_an_entry_of_another_connector_is_not_installed(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    server.files["source-zoo", "1.4.0", "oss.json"] = json.dumps(entry("source-circus", "1.4.0")).encode()
    assert "returned source source-circus instead of source-zoo" in refused(run("connectors", "install", "source-zoo"))


def test_a_registry_that_fails_leaves_the_index_as_it_was(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    before = (connector_index.folder() / connector_index.REFRESHED).read_text()
    for content in (b"<html>", b"[]", b'{"sources": [], "destinations": []}', b'{"sources": [{}], "destinations": []}'):
        server.index = content
        refused(run("connectors", "update"))
    server.index = None
    server.faults = Faults(server_error=1.0)
    result = run("connectors", "update", "--registry", "http://127.0.0.1:1/files")
    assert result.exit_code == 1
    assert "the connector registry http://127.0.0.1:1/files cannot be read" in result.output
    assert (connector_index.folder() / connector_index.REFRESHED).read_text() == before


def test_a_damaged_refreshed_index_gives_way_to_the_shipped_one(run: Run, server: Registry) -> None:
    connector_index.folder().mkdir()
    (connector_index.folder() / connector_index.REFRESHED).write_text('{"columns": ["name"]')
    assert "source-pokeapi" in ok(run("connectors", "search", "pokeapi"))


def test_a_refresh_says_what_came_what_went_and_what_breaks(run: Run, server: Registry) -> None:
    server.publish(entry("source-old", "1.0.0"))
    server.publish(entry("destination-barn", "1.0.0", "destination", language="java"))
    server.publish(entry("source-buried", "1.0.0", tombstone=True))
    assert "3 connectors in the index: 3 new, 647 gone" in ok(run("connectors", "update"))
    ok(run("connectors", "install", "source-zoo"))
    server.entries = [
        single_entry for single_entry in server.entries if single_entry["dockerRepository"] != "airbyte/source-old"
    ]
    server.publish(entry("source-zoo", "2.1.0", releases={"breakingChanges": BREAKING}))
    server.publish(entry("source-new", "1.0.0", title="New One"))
    out = ok(run("connectors", "update"))
    assert "3 connectors in the index: 1 new, 1 gone, 1 with another version" in out
    assert "new   source-new 1.0.0: New One" in out
    assert "gone  source-old" in out
    assert "source-zoo 1.4.0 is now 2.1.0 (installed)" in out
    assert "2.0.0 (until 2027-01-31): The stream animals is now called beasts." in out
    assert installed_connectors.installed("source", "zoo").entry.version == "1.4.0"  # type: ignore[union-attr]


OTHER = MANIFEST.replace("beasts", "guests")
PROJECT = """\
sources:
  zoo:
    connector: source-zoo
    version: "1.4.0"  # pinned
    config: {url: "http://127.0.0.1:1"}
"""


def test_an_upgrade_waits_for_yes_where_it_breaks_and_writes_the_pin(run: Run, server: Registry, folder: Path) -> None:
    (folder / "kitestring.yaml").write_text(PROJECT)
    ok(run("connectors", "update"))
    assert "kitestring connectors install source-zoo@1.4.0" in refused(run("discover", "zoo"))
    assert "there is no source called source-ruins" in refused(run("connectors", "update", "source-ruins"))
    ok(run("connectors", "install", "source-zoo"))
    server.publish(entry("source-zoo", "2.1.0", releases={"breakingChanges": BREAKING}), OTHER)
    out = refused(run("connectors", "update", "source-zoo"))
    assert "The stream animals is now called beasts." in out
    assert "https://docs.example.com/zoo-migrations" in out
    assert "kitestring connectors update source-zoo --yes" in out
    assert "beasts" in ok(run("discover", "zoo"))
    out = ok(run("connectors", "update", "source-zoo", "--yes"))
    assert "kitestring.yaml:4: version 1.4.0 is now 2.1.0" in out
    assert (folder / "kitestring.yaml").read_text() == PROJECT.replace("1.4.0", "2.1.0")
    assert "guests" in ok(run("discover", "zoo"))
    assert "is at its newest version" in ok(run("connectors", "update", "source-zoo"))


def test_a_pinned_source_stays_at_its_version_when_another_is_installed(
    run: Run, server: Registry, folder: Path
) -> None:
    (folder / "kitestring.yaml").write_text(PROJECT)
    ok(run("connectors", "update"))
    ok(run("connectors", "install", "source-zoo"))
    server.publish(entry("source-zoo", "2.1.0", releases={"breakingChanges": BREAKING}), OTHER)
    out = ok(run("connectors", "install", "source-zoo@2.1.0"))
    assert "breaking change since 1.4.0" in out
    assert "pinned to another version in the project file: zoo (1.4.0)" in out
    assert "beasts" in ok(run("discover", "zoo"))
    assert "guests" in ok(run("discover", "source-zoo", "-c", "url=http://127.0.0.1:1"))


def test_a_removed_version_gives_way_to_the_newest_that_is_left(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    ok(run("connectors", "install", "source-zoo"))
    server.publish(entry("source-zoo", "1.10.0"))
    ok(run("connectors", "install", "source-zoo@1.10.0"))
    assert "removed source-zoo@1.10.0" in ok(run("connectors", "remove", "source-zoo@1.10.0"))
    assert installed_connectors.installed("source", "zoo").entry.version == "1.4.0"  # type: ignore[union-attr]
    ok(run("connectors", "remove", "zoo"))
    assert list(installed_connectors.installations()) == []
    assert "source-zoo is not installed" in refused(run("connectors", "remove", "source-zoo"))


def test_a_manifest_that_names_a_class_brings_the_file_of_its_classes(run: Run, server: Registry) -> None:
    server.publish(
        entry("source-zoo", "1.5.0"),
        MANIFEST + "definitions:\n  x:\n    class_name: c.X\n",
        components="print('never run')",
    )
    ok(run("connectors", "update"))
    assert "names Python classes" in ok(run("connectors", "install", "source-zoo"))
    installed = installed_connectors.installed("source", "source-zoo")
    assert installed is not None
    assert (installed.folder / "components.py").read_text() == "print('never run')"
    assert set(installed.sha256) == {"manifest.yaml", "components.py"}


def test_a_package_is_installed_with_its_form_and_removed_with_its_environment(
    run: Run, server: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = folder / "wheels"
    wheels.mkdir()
    form = {"type": "object", "properties": {"pin": {"type": "string", "airbyte_secret": True}}}
    spec = {"type": "SPEC", "spec": {"connectionSpecification": form}}
    with zipfile.ZipFile(wheels / "airbyte_source_aviary-1.2-py3-none-any.whl", "w") as file:
        about = "airbyte_source_aviary-1.2.dist-info"
        file.writestr("aviary.py", f"import json\ndef run():\n    print(json.dumps({spec!r}))\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: airbyte-source-aviary\nVersion: 1.2\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/entry_points.txt", "[console_scripts]\nsource-aviary = aviary:run\n")
        names = ["aviary.py", *(f"{about}/{n}" for n in ("METADATA", "WHEEL", "entry_points.txt", "RECORD"))]
        file.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in names))
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    pypi = {"pypi": {"enabled": True, "packageName": "airbyte-source-aviary"}}
    server.publish(entry("source-aviary", "1.2", language="python", license="MIT", remoteRegistries=pypi))
    ok(run("connectors", "update"))
    out = ok(run("connectors", "install", "source-aviary", "--registry", "http://127.0.0.1:1/files"))
    assert "licence MIT" in out
    assert "open-source" not in out
    assert "pin (string, secret)" in ok(run("spec", "source-aviary"))
    installed = installed_connectors.installed("source", "source-aviary")
    assert installed is not None
    assert installed.settings == {"package": "airbyte-source-aviary==1.2"}
    assert Path(installed.environment).is_dir()
    ok(run("connectors", "remove", "source-aviary"))
    assert not Path(installed.environment).exists()


def test_a_manifest_in_the_projects_folder_is_a_connector_by_its_name(run: Run, server: Registry, folder: Path) -> None:
    (folder / "connectors").mkdir()
    (folder / "connectors" / "petting_zoo.yaml").write_text(MANIFEST)
    (folder / "kitestring.yaml").write_text(
        'sources: {zoo: {connector: petting_zoo, config: {url: "http://127.0.0.1:1"}}}\n'
    )
    assert "beasts" in ok(run("discover", "zoo"))
    assert "beasts" in ok(run("discover", "petting_zoo", "-c", "url=http://127.0.0.1:1"))
    assert "petting_zoo" in ok(run("connectors", "list"))
    assert "url (string, required)" in ok(run("connectors", "show", "petting_zoo"))
    assert "url (string, required)" in ok(run("spec", "petting_zoo"))


def test_names_that_lead_out_of_the_folder_are_refused(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    for name in ("source-zoo@../../etc", "../source-zoo", "source-zoo@.."):
        refused(run("connectors", "install", name))
        refused(run("discover", name))


def test_a_connector_of_kitestring_needs_no_installation(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    assert "comes with Kitestring" in refused(run("connectors", "install", "sample"))


def test_an_image_needs_a_container_engine(run: Run, server: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    server.publish(entry("destination-barn", "1.0.0", "destination", language="java"))
    ok(run("connectors", "update"))
    monkeypatch.setenv("PATH", "")
    assert "neither docker nor podman is installed" in refused(run("connectors", "install", "destination-barn"))
    assert list(installed_connectors.installations()) == []


def test_a_version_that_was_installed_half_is_no_installation(run: Run, server: Registry) -> None:
    ok(run("connectors", "update"))
    ok(run("connectors", "install", "source-zoo"))
    installed = installed_connectors.installed("source", "source-zoo")
    assert installed is not None
    (installed.folder / "installed.json").write_text('{"entry": ')
    assert "kitestring connectors install source-zoo" in refused(run("discover", "source-zoo"))
    ok(run("connectors", "install", "source-zoo"))
    assert "beasts" in ok(run("discover", "source-zoo", "-c", "url=http://127.0.0.1:1"))


def test_two_that_install_the_same_at_once_leave_one_whole_installation(server: Registry) -> None:
    import threading

    from kitestring.airbyte.registry_client import RegistryClient

    zoo = connector_index.IndexEntry.of(server.entries[0])
    done: list[str] = []

    def work() -> None:
        done.append(installed_connectors.install(zoo, registry=RegistryClient(), force=True).entry.version)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == ["1.4.0"] * 4
    (item,) = installed_connectors.installations()
    item.verify()


def test_a_version_of_what_has_none_is_refused(run: Run, folder: Path) -> None:
    assert "no versions to choose from" in refused(run("discover", "sample@1.0"))
    for entry_text, output in (
        ('connector: sample, version: "1.0"', "no versions to choose from"),
        ('connector: ./zoo.yaml, version: "1.0"', "kitestring.yaml:1: ./zoo.yaml cannot have the version 1.0"),
        ('connector: source-zoo, version: "../.."', "cannot have the version ../.."),
    ):
        (folder / "kitestring.yaml").write_text(f"sources: {{zoo: {{{entry_text}}}}}\n")
        assert output in refused(run("discover", "zoo"))
