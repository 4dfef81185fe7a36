"""The airbyte-cdk version that a connector with Python components needs, and the program that starts any version."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kitestring.errors import ConfigError

NEWEST = "7.39.1"
"""For manifests of version 7 and later without another requirement."""
BEFORE_7 = "6.61.6"
"""The last version before 7, which removed classes and arguments that older components use."""
METADATA, PROJECT = "metadata.yaml", "pyproject.toml"
IMAGE = re.compile(r"/source-declarative-manifest:(\d+\.\d+\.\d+)(?:@|$)")
"""The base image of a manifest connector: its version is that of the airbyte-cdk inside."""
VERSION = re.compile(r"\d+(?:\.\d+)*")


def requirement(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The airbyte-cdk that a connector requires: from the base image in its `metadata.yaml`, else the dependency in its
    `pyproject.toml`, else the version of its manifest."""
    return f"airbyte-cdk{of_image(folder / METADATA) or of_project(folder / PROJECT) or of_manifest(manifest)}"


def of_image(path: Path) -> str:
    from kitestring.declarative.manifest import parse

    try:
        values = parse(path.read_text("utf-8"), path.name)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="Correct the file, or take it away.") from error
    for name in ("data", "connectorBuildOptions", "baseImage"):
        values = values.get(name) if isinstance(values, Mapping) else None
    match = IMAGE.search(values) if isinstance(values, str) else None
    return f"=={match[1]}" if match else ""


def of_project(path: Path) -> str:
    """The specifier of the dependency in Poetry's form (`^6`, `6.48.0`, `{version = "^6", extras = […]}`)."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="Correct the file, or take it away.") from error
    dependency: Any = values
    for name in ("tool", "poetry", "dependencies", "airbyte-cdk"):
        dependency = dependency.get(name) if isinstance(dependency, Mapping) else None
    text = str(dependency.get("version", "") if isinstance(dependency, Mapping) else dependency or "").strip()
    if text in ("", "*"):
        return ""
    if text[0] in "<>=!":
        return text
    match = VERSION.search(text)
    if match is None:
        return ""
    if text[0] not in "^~":
        return f"=={match[0]}"
    numbers = [int(number) for number in match[0].split(".")]
    # `^` fixes the first number that is not zero, `~` the one before the last.
    fixed = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    fixed = fixed if text[0] == "^" else min(1, len(numbers) - 1)
    limit = [*numbers[:fixed], numbers[fixed] + 1]
    return f">={match[0]},<{'.'.join(map(str, limit))}"


def of_manifest(manifest: Mapping[str, Any]) -> str:
    match = VERSION.match(str(manifest.get("version", "")))
    if match is None or int(match[0].partition(".")[0]) >= int(NEWEST.partition(".")[0]):
        return f"=={NEWEST}"
    return f"=={BEFORE_7}"


START = """
import gc

gc.disable()
try:
    import attributes_doc
    attributes_doc.get_attributes_doc = lambda kind: {}
except ImportError:
    pass
"""
"""Saves a third of a start: no garbage is collected while modules are imported, and the sources of the protocol's
classes are not parsed for descriptions of their fields, which nobody reads."""

RUN_MANIFEST = """
import importlib.util, inspect, sys
from airbyte_cdk import entrypoint

gc.freeze()
gc.enable()

words, files = [], {}
rest = iter(sys.argv[1:])
for word in rest:
    if word in ("--manifest-path", "--components-path"):
        files[word] = next(rest)
    else:
        words.append(word)
# Components from before Python 3.11 have a decoder as the default of a field, which a dataclass then has to hash.
from airbyte_cdk.sources.declarative.decoders import json_decoder
for kind in vars(json_decoder).values():
    if isinstance(kind, type) and kind.__name__.endswith("Decoder") and kind.__hash__ is None:
        kind.__hash__ = object.__hash__
if "--components-path" in inspect.getsource(entrypoint):
    from airbyte_cdk.cli.source_declarative_manifest import run
    run()
else:
    import yaml
    from airbyte_cdk.sources.declarative.manifest_declarative_source import ManifestDeclarativeSource
    if "--components-path" in files:
        spec = importlib.util.spec_from_file_location("components", files["--components-path"])
        module = importlib.util.module_from_spec(spec)
        sys.modules["components"] = sys.modules["source_declarative_manifest.components"] = module
        spec.loader.exec_module(module)
    with open(files["--manifest-path"], encoding="utf-8") as file:
        manifest = yaml.safe_load(file)
    entrypoint.launch(ManifestDeclarativeSource(source_config=manifest), words)
"""
"""Runs a manifest. Before about 6.34 the CDK's own program takes no paths of a manifest or components."""

RUN = START + RUN_MANIFEST

RUN_CARRIED = (
    START
    + """
import json, pathlib, re, sys
from airbyte_cdk.cli.source_declarative_manifest import _run
from airbyte_cdk.sources.declarative.parsers import custom_code_compiler
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory

place = sys.argv.index("--carried-path")
carried_path = pathlib.Path(sys.argv[place + 1])
carried = json.loads(carried_path.read_text("utf-8"))
code_path = carried_path.with_name("components.py")
code_path.write_bytes(carried["components"].encode("utf-8"))
sys.argv[place : place + 2] = ["--manifest-path", str(carried_path), "--components-path", str(code_path)]
_run._parse_manifest_from_file = lambda path: carried["manifest"]

def refuse(*args, **options):
    raise ValueError("only the components that the manifest carries may run")

def own_class(name):
    if not re.fullmatch(carried["classes"], name):
        raise ValueError(f"{name} is no class of the components that the manifest carries")
    return getattr(sys.modules["components"], name.rpartition(".")[2])

custom_code_compiler.register_components_module_from_string = refuse
ModelToComponentFactory._get_class_from_fully_qualified_class_name = staticmethod(own_class)

if carried["limits"] and "read" in sys.argv:
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import TestLimits

    class TestSource(_run.ConcurrentDeclarativeSource):
        def __init__(self, **more):
            super().__init__(**more, emit_connector_builder_messages=True, limits=TestLimits(**carried["limits"]))

    _run.ConcurrentDeclarativeSource = TestSource
"""
    + RUN_MANIFEST
)
"""Runs a manifest with the components that it carries, and no other code: neither classes of other modules, which a
template may name while it runs, nor code in the configuration, which the CDK would run too. With limits, a read is a
test read: the CDK writes its slices and requests to the log."""
