"""Manifests with Python components: found, refused without permission, and handed to Airbyte's CDK with it."""

from __future__ import annotations

import json
import logging
import pickle
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from kitestring import registry
from kitestring.airbyte.custom_code import CustomCodeSource
from kitestring.declarative import DeclarativeSource
from kitestring.errors import ConfigError

EXTRACTOR = {"type": "CustomRecordExtractor", "class_name": "source_declarative_manifest.components.Lines"}
CDK = """#!{python}
import json, sys
words = sys.argv[3:]
given = dict(zip(words[1::2], words[2::2]))
config = json.load(open(given["--config"]))
seen = {{"config": config, "manifest": given["--manifest-path"], "components": given.get("--components-path")}}
stream = {{"name": "things", "json_schema": {{"seen": seen}}, "supported_sync_modes": ["full_refresh"]}}
print(json.dumps({{"type": "CATALOG", "catalog": {{"streams": [stream]}}}}))
"""


def manifest(extractor: dict[str, Any], **more: Any) -> dict[str, Any]:
    requester = {"type": "HttpRequester", "url_base": "http://127.0.0.1:9", "path": "/things"}
    selector = {"type": "RecordSelector", "extractor": extractor}
    stream = {
        "type": "DeclarativeStream",
        "name": "things",
        "retriever": {"type": "SimpleRetriever", "requester": requester, "record_selector": selector},
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"properties": {"class_name": {"type": "string"}}}},
    }
    form = {"type": "object", "properties": {"key": {"type": "string", "airbyte_secret": True}}}
    spec = {"type": "Spec", "connection_specification": form}
    check = {"type": "CheckStream", "stream_names": ["things"]}
    return {"version": "6.0.0", "type": "DeclarativeSource", "check": check, "streams": [stream], "spec": spec, **more}


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Writes a manifest (and a components.py); gives its path."""

    def write(values: dict[str, Any], code: str | None = "class Lines: ...\n") -> str:
        (tmp_path / "own.yaml").write_text(json.dumps(values))
        if code is not None:
            (tmp_path / "components.py").write_text(code)
        return str(tmp_path / "own.yaml")

    return write


@pytest.fixture
def cdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of the CDK's Python, which says what it was started with."""
    path = tmp_path / "python"
    path.write_text(CDK.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("KITESTRING_CDK_PYTHON", str(path))


def test_without_permission_the_component_and_the_option_are_named(written: Any) -> None:
    with pytest.raises(ConfigError, match=r"components\.Lines \(streams\[0\]\.retriever\.record_selector") as caught:
        registry.source(written(manifest(EXTRACTOR)), {"key": "k"})
    assert "allow_custom_code: true" in caught.value.hint


@pytest.mark.parametrize("value", ["true", 1, None])
def test_only_true_is_permission(written: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match="needs Python code"):
        registry.source(written(manifest(EXTRACTOR)), {"allow_custom_code": value})


def test_the_code_has_to_lie_beside_the_manifest(written: Any) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*components\.py"):
        registry.source(written(manifest(EXTRACTOR), code=None), {"allow_custom_code": True})


@pytest.mark.usefixtures("cdk")
def test_with_permission_the_cdk_gets_manifest_code_and_configuration(
    written: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(written(manifest(EXTRACTOR)))
    with caplog.at_level(logging.WARNING):
        source = registry.source(str(path), {"allow_custom_code": True, "key": "k"})
    assert isinstance(source, CustomCodeSource)
    assert "own.yaml has Python components (Lines): Airbyte's CDK runs it" in caplog.text
    for item in (source, pickle.loads(pickle.dumps(source))):
        (stream,) = item.discover()
        assert stream.schema["seen"] == {
            "config": {"key": "k"},
            "manifest": str(path),
            "components": str(path.with_name("components.py")),
        }


def test_a_manifest_may_carry_its_code_and_then_has_no_other(written: Any) -> None:
    code = "class Lines: ...\n"
    carrying = manifest(EXTRACTOR, metadata={"components_py": code})
    carrying["streams"][0]["schema_loader"] = {"type": "JsonFileSchemaLoader", "file_path": "./things.json"}
    path = Path(written(carrying, code=None))
    path.with_name("things.json").write_text('{"type": "object"}')
    with pytest.raises(ConfigError, match="needs Python code"):
        registry.source(str(path), {"key": "k"})
    source = registry.source(str(path), {"allow_custom_code": True, "key": "k"})
    assert isinstance(source, CustomCodeSource)
    for item in (source, pickle.loads(pickle.dumps(source))):
        carried = item._carried
        assert carried["metadata"]["components_py"] == code
        assert carried["streams"][0]["schema_loader"] == {"type": "InlineSchemaLoader", "schema": {"type": "object"}}
    path.with_name("components.py").write_text(code)
    registry.source(str(path), {"allow_custom_code": True})
    path.with_name("components.py").write_text("import os\n")
    with pytest.raises(ConfigError, match="has others"):
        registry.source(str(path), {"allow_custom_code": True})


@pytest.mark.usefixtures("cdk")
def test_classes_of_the_cdk_itself_need_no_code(written: Any) -> None:
    own = {"type": "CustomRecordExtractor", "class_name": "airbyte_cdk.sources.declarative.extractors.DpathExtractor"}
    source = registry.source(written(manifest(own), code=None), {"allow_custom_code": True})
    (stream,) = source.discover()
    assert stream.schema["seen"]["components"] is None


def test_a_manifest_without_python_runs_here_whatever_the_permission(written: Any) -> None:
    path = written(manifest({"type": "DpathExtractor", "field_path": []}, definitions={"unused": EXTRACTOR}), code=None)
    for config in ({}, {"allow_custom_code": True}):
        source = registry.source(path, config)
        assert isinstance(source, DeclarativeSource)
        source.close()


def test_the_form_asks_for_the_permission_where_it_is_needed(written: Any) -> None:
    form = registry.connector("source", written(manifest(EXTRACTOR))).spec()
    assert form["properties"]["allow_custom_code"]["type"] == "boolean"
    plain = written(manifest({"type": "DpathExtractor", "field_path": []}))
    assert "allow_custom_code" not in registry.connector("source", plain).spec()["properties"]


@pytest.mark.usefixtures("cdk")
def test_what_the_form_calls_a_secret_is_hidden(written: Any) -> None:
    source = registry.source(written(manifest(EXTRACTOR)), {"allow_custom_code": True, "key": "s3cr3t-value"})
    assert isinstance(source, CustomCodeSource)
    assert source.hide("got s3cr3t-value, true") == "got **********, true"
