"""A manifest as an Airbyte connector: `spec`, `check`, `discover` and `read` in the protocol, on standard output."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kitestring.airbyte.messages import (
    Writer,
    catalog_body,
    configured_streams,
    line,
    read_json,
    states_by_stream,
)
from kitestring.batch import Batch
from kitestring.declarative.manifest import load
from kitestring.errors import ConfigError, ConnectorError, KitestringError
from kitestring.types import Checkpoint, Reject, State, Stream, Suspicion, Write

if TYPE_CHECKING:
    from kitestring.declarative.source import DeclarativeSource

log = logging.getLogger("kitestring.airbyte")

STATE_EVERY_S = 5.0
"""Pause between the states of a stream of many slices; the last state is always written."""


def spec(manifest: str, writer: Writer) -> int:
    """The spec of the configuration; does not import the engine."""
    form = load(Path(manifest)).get("spec") or {}
    body: dict[str, Any] = {"connectionSpecification": form.get("connection_specification") or {}}
    if form.get("documentation_url"):
        body["documentationUrl"] = form["documentation_url"]
    if form.get("advanced_auth"):
        flow = {k: v for k, v in form["advanced_auth"].items() if k not in ("type", "$parameters")}
        inner = flow.get("oauth_config_specification")
        if isinstance(inner, dict) and isinstance(inner.get("oauth_connector_input_specification"), dict):
            specification = {"scopes_join_strategy": "space", **inner["oauth_connector_input_specification"]}
            flow["oauth_config_specification"] = {**inner, "oauth_connector_input_specification": specification}
        body["advanced_auth"] = flow
    # Defaults of the protocol that Airbyte's own connectors write out.
    body |= {"supportsNormalization": False, "supportsDBT": False}
    writer.message("SPEC", "spec", body)
    return 0


def check(manifest: str, config: str, writer: Writer) -> int:
    """Check that a sync can start."""
    try:
        source = open_source(manifest, config, writer)
        try:
            source.check()
        finally:
            source.close()
    except KitestringError as error:
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        writer.message("CONNECTION_STATUS", "connectionStatus", {"status": "FAILED", "message": message})
        return 0
    writer.message("CONNECTION_STATUS", "connectionStatus", {"status": "SUCCEEDED"})
    return 0


def discover(manifest: str, config: str, writer: Writer) -> int:
    """The streams."""
    source = open_source(manifest, config, writer)
    try:
        body = catalog_body(source.discover())
        for stream in body["streams"]:
            if source.component(stream["name"]).uploader is not None:
                stream["is_file_based"] = True
        writer.message("CATALOG", "catalog", body)
    finally:
        source.close()
    return 0


def read(manifest: str, config: str, catalog: str, state: str | None, writer: Writer) -> int:
    """Records and states of the configured streams, one by one; a failed stream does not stop others."""
    from kitestring.declarative.file_uploader import FileFolder

    source = open_source(manifest, config, writer)
    source.like_airbyte()
    saved = states_by_stream(read_json(state, "state")) if state else {}
    selected = read_json(catalog, "catalog")
    streams = configured_streams(selected)
    # Files are read unless the platform excludes them (airbyte-cdk 7.39.1 fetches them in any case).
    without = [
        configured["stream"]["name"] for configured in selected["streams"] if configured.get("include_files") is False
    ]
    source.keep_files(FileFolder(staging()), without)
    failed = 0
    try:
        for stream in streams:
            begun = saved.get((stream.namespace, stream.name), {}) if stream.incremental else {}
            writer.status(stream, "STARTED")
            try:
                read_stream(source, stream, begun, writer)
                writer.status(stream, "COMPLETE")
            except KitestringError as error:
                failed += 1
                writer.error(error, stream)
                writer.status(stream, "INCOMPLETE")
    finally:
        source.close()
    return 1 if failed else 0


def read_stream(source: DeclarativeSource, stream: Stream, begun: State, writer: Writer) -> None:
    # A platform keeps states in Airbyte's form, without digests of appended records.
    stream = replace(stream, write=Write(keep="latest"))
    states = {stream.key: begun} if begun else {}
    current, written_at, running = dict(begun), time.monotonic(), False
    for partition in source.partitions([stream], states):
        for item in source.read(partition, states):
            if isinstance(item, Batch):
                if not running:
                    writer.status(stream, "RUNNING")
                    running = True
                writer.records(stream, item.rows(), source.component(stream.name).files() is not None)
            elif isinstance(item, Checkpoint):
                current = source.merge(stream.key, current, item.state)
                if time.monotonic() - written_at > STATE_EVERY_S:
                    writer.state(stream, current)
                    written_at = time.monotonic()
            elif isinstance(item, Reject):
                writer.log("WARN", f"a record of {stream.name} cannot be taken: {item.reason}")
            elif isinstance(item, Suspicion):
                writer.log("WARN", f"{stream.name} may be incomplete: {item.reason}")
    final = source.finish(stream, current)
    writer.state(stream, final or {"__ab_no_cursor_state_message": True})


def staging() -> Path:
    """The platform's folder for files: AIRBYTE_STAGING_DIRECTORY (or its default) where it exists."""
    folder = Path(os.environ.get("AIRBYTE_STAGING_DIRECTORY", "/staging/files"))
    return folder if folder.is_dir() else Path(tempfile.gettempdir()) / "kitestring-files"


def open_source(manifest: str, config: str, writer: Writer) -> DeclarativeSource:
    """The source; a configuration that it changes is sent to the platform and written to its file."""
    from kitestring.declarative.source import DeclarativeSource

    values = read_json(config, "configuration")
    if not isinstance(values, dict):
        raise ConfigError(f"the configuration {config} is not an object", hint="Correct the file.")
    source = DeclarativeSource.from_manifest(manifest, values)

    def keep(changed: dict[str, Any]) -> None:
        writer.control(changed)
        try:
            Path(config).write_text(json.dumps(changed, indent=2, ensure_ascii=False), encoding="utf-8")
        except OSError as error:
            log.warning("the changed configuration cannot be written", extra={"path": config, "error": str(error)})

    if source.config != values:
        keep(source.config)
    source.on_config(keep)
    return source


def main(arguments: Sequence[str] | None = None, output: IO[bytes] | None = None) -> int:
    """`spec|check|discover|read --manifest-path M [--config C] [--catalog K] [--state S]`; returns the exit code.

    The messages go to `output`, standard output without one.
    """
    parser = argparse.ArgumentParser(prog="kitestring airbyte manifest", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("spec", "check", "discover", "read"):
        command = commands.add_parser(name)
        command.add_argument("--manifest-path", required=True, metavar="FILE")
        command.add_argument("--debug", action="store_true")
        if name != "spec":
            command.add_argument("--config", required=True, metavar="FILE")
        if name == "read":
            command.add_argument("--catalog", required=True, metavar="FILE")
            command.add_argument("--state", metavar="FILE")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if options.debug else logging.INFO)
    writer = Writer(output)
    try:
        if options.command == "spec":
            return spec(options.manifest_path, writer)
        if options.command == "check":
            return check(options.manifest_path, options.config, writer)
        if options.command == "discover":
            return discover(options.manifest_path, options.config, writer)
        return read(options.manifest_path, options.config, options.catalog, options.state, writer)
    except KitestringError as error:
        writer.error(error)
        return 1
    except BrokenPipeError:
        return 1
    except Exception as crash:
        log.debug("crashed", exc_info=True)
        writer.error(ConnectorError(f"{type(crash).__name__}: {crash}", hint="Please report this, with the debug log."))
        return 1


__all__ = ["check", "discover", "line", "main", "read", "spec"]

if __name__ == "__main__":
    sys.exit(main())
