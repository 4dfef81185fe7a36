"""The files that belong to records: where they go, what a record says of them, and what happens when one is missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from loopback import Api, Call, Open, manifest, stream, sync

from kitestring.airbyte.manifest_command import main
from kitestring.declarative import DeclarativeSource, manifest_spec
from kitestring.errors import ConfigError

UPLOADER: dict[str, Any] = {
    "type": "FileUploader",
    "requester": {"type": "HttpRequester", "url": "{{ download_target }}"},
    "download_target_extractor": {"type": "DpathExtractor", "field_path": ["url"]},
    "filename_extractor": "{{ record.name }}",
}


def things(api: Api, **more: Any) -> dict[str, Any]:
    requester = {"url": api.url, "path": "/things"}
    return stream(requester=requester, file_uploader={**UPLOADER, **more})


def answering(api: Api, *names: str) -> None:
    api.answers["/things"] = {"data": [{"id": i, "name": n, "url": f"{api.url}/file/{i}"} for i, n in enumerate(names)]}
    for index, name in enumerate(names):
        api.answers[f"/file/{index}"] = f"content of {name}".encode()


def kept(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_records_come_without_their_files_where_no_folder_is_named(api: Api, open_source: Open) -> None:
    answering(api, "a")
    source = open_source(things(api))
    assert sync(source).records == [{"id": 0, "name": "a", "url": f"{api.url}/file/0"}]
    assert api.paths() == ["/things"]
    assert "file_reference" not in source.discover().get("things").schema.get("properties", {})  # type: ignore[union-attr]


def test_files_are_kept_and_the_reference_is_data(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "a.txt", "/in/b.txt")
    source = open_source(things(api), config={"files_folder": str(tmp_path)})
    records = sync(source).records
    assert kept(tmp_path) == {"things/a.txt": "content of a.txt", "things/in/b.txt": "content of /in/b.txt"}
    assert records[1]["file_reference"] == {
        "staging_file_url": str(tmp_path / "things/in/b.txt"),
        "source_file_relative_path": "things/in/b.txt",
        "file_size_bytes": 20,
    }
    stream = source.discover().get("things")
    assert stream is not None
    assert set(stream.schema["properties"]["file_reference"]["properties"]) == set(records[1]["file_reference"])


def test_a_second_sync_puts_files_in_the_place_of_the_first(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "a", "b")
    nameless = {k: v for k, v in things(api)["file_uploader"].items() if k != "filename_extractor"}
    for _ in range(2):
        source = open_source({**things(api), "file_uploader": nameless}, config={"files_folder": str(tmp_path)})
        assert not sync(source).rejects
    assert sorted(kept(tmp_path).values()) == ["content of a", "content of b"]


@pytest.mark.parametrize("name", ["../../out", "a/../../../out", "", "a\0b", "."])
def test_a_name_that_leads_out_of_the_folder_is_refused(api: Api, open_source: Open, tmp_path: Path, name: str) -> None:
    answering(api, name, "good")
    result = sync(open_source(things(api), config={"files_folder": str(tmp_path / "in")}))
    assert [reject.reason for reject in result.rejects] == [
        f"its file cannot be fetched: {name!r} is not a file name inside the folder"
    ]
    assert kept(tmp_path) == {"in/things/good": "content of good"}


def test_a_long_name_is_cut_to_what_file_systems_take(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "ä" * 200 + ".txt")
    result = sync(open_source(things(api), config={"files_folder": str(tmp_path)}))
    assert result.records[0]["file_reference"]["source_file_relative_path"].endswith("ää.txt")


def test_a_file_that_cannot_be_fetched_is_a_reject_and_the_others_come(
    api: Api, open_source: Open, tmp_path: Path
) -> None:
    answering(api, "a", "b", "c")
    api.answers["/file/1"] = (404, {"message": "gone"})
    result = sync(open_source(things(api), config={"files_folder": str(tmp_path)}))
    assert [record["id"] for record in result.records] == [0, 2]
    assert result.rejects[0].reason.endswith("/file/1 answered 404: gone")


def test_a_transfer_that_breaks_off_is_tried_again(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "a")
    times = []

    def file(call: Call) -> Any:
        times.append(call)
        # Packed data that ends too early: the head of the answer was in order.
        return (200, gzip.compress(b"whole")[:-9], {"Content-Encoding": "gzip"}) if len(times) == 1 else b"whole"

    api.answers["/file/0"] = file
    result = sync(open_source(things(api), config={"files_folder": str(tmp_path)}))
    assert kept(tmp_path) == {"things/a": "whole"}, result.rejects


def test_an_answer_that_the_manifest_ignores_leaves_the_record_without_a_file(
    api: Api, open_source: Open, tmp_path: Path
) -> None:
    answering(api, "a")
    api.answers["/file/0"] = (404, {})
    ignoring = {
        "type": "DefaultErrorHandler",
        "response_filters": [{"type": "HttpResponseFilter", "action": "IGNORE", "http_codes": [404]}],
    }
    requester = {**UPLOADER["requester"], "error_handler": ignoring}
    result = sync(open_source(things(api, requester=requester), config={"files_folder": str(tmp_path)}))
    assert [record["id"] for record in result.records] == [0]
    assert "file_reference" not in result.records[0]


def test_the_folder_never_holds_more_than_its_limit(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "a", "b")
    api.answers["/file/1"] = b"x" * (1024 * 1024)
    source = open_source(things(api), config={"files_folder": str(tmp_path), "files_limit_mb": 1})
    with pytest.raises(ConfigError, match="would exceed 1,048,576") as error:
        sync(source)
    assert "files_limit_mb" in str(error.value.hint)
    assert list(kept(tmp_path)) == ["things/a"]


def test_a_folder_that_cannot_be_written_ends_the_stream(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "a")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written"):
        sync(open_source(things(api), config={"files_folder": str(tmp_path / "taken")}))


def test_neither_a_check_nor_a_child_fetches_files(api: Api, open_source: Open, tmp_path: Path) -> None:
    answering(api, "a")
    api.answers["/children"] = {"data": [{"id": 1}]}
    router = {
        "type": "SubstreamPartitionRouter",
        "parent_stream_configs": [
            {"type": "ParentStreamConfig", "parent_key": "id", "partition_field": "thing", "stream": things(api)}
        ],
    }
    child = stream("children", url=api.url, path="/children", retriever={"partition_router": router})
    source = open_source(things(api), child, config={"files_folder": str(tmp_path)})
    source.check()
    assert sync(source, "children").records == [{"id": 1}]
    assert "/file/0" not in api.paths()


def test_the_form_of_a_manifest_with_files_has_a_folder_for_them(api: Api, tmp_path: Path) -> None:
    for name, item in (("with", things(api)), ("without", stream(url=api.url))):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(manifest(item)))
    assert {"files_folder", "files_limit_mb"} <= manifest_spec(tmp_path / "with.yaml")["properties"].keys()
    assert "files_folder" not in manifest_spec(tmp_path / "without.yaml")["properties"]


def test_a_limit_that_is_no_number_is_refused(api: Api) -> None:
    with pytest.raises(ConfigError, match="files_limit_mb is '5'"):
        DeclarativeSource.of(manifest(things(api)), {"files_folder": "x", "files_limit_mb": "5"})


def test_a_platform_can_leave_the_files_where_they_are(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("AIRBYTE_STAGING_DIRECTORY", str(tmp_path))
    answering(api, "a")
    (tmp_path / "m.yaml").write_text(json.dumps(manifest(things(api))))
    (tmp_path / "c.json").write_text("{}")
    for expected in (True, False):
        entry = {
            "stream": {"name": "things", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
            "include_files": expected,
        }
        (tmp_path / "k.json").write_text(json.dumps({"streams": [entry]}))
        paths = ["--manifest-path", f"{tmp_path}/m.yaml", "--config", f"{tmp_path}/c.json"]
        assert main(["read", *paths, "--catalog", f"{tmp_path}/k.json"]) == 0
        lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
        record = next(line["record"] for line in lines if line["type"] == "RECORD")
        assert ("file_reference" in record) is expected
        assert record["data"] == {"id": 0, "name": "a", "url": f"{api.url}/file/0"}
