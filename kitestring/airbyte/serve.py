"""Our own sources and destinations as Airbyte connectors: `spec`, `check`, `discover`, `read` and `write`.

Both directions are a sync of the engine with this protocol at one end: `read` syncs into standard output, `write`
from standard input. So the engine itself does retries, the order of states and records, and reconciliation.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from kitestring.airbyte import modes
from kitestring.airbyte.log_handler import Engine, ProtocolLogHandler
from kitestring.airbyte.messages import Writer, catalog_body, read_json
from kitestring.airbyte.serve_read import read
from kitestring.airbyte.serve_write import write
from kitestring.config import secrets_in
from kitestring.errors import ConfigError, ConnectorError, KitestringError

log = logging.getLogger("kitestring.airbyte")

DOCS = "https://github.com/kitestring/kitestring/tree/main/docs/reference"
COMMANDS = {"source": ("spec", "check", "discover", "read"), "destination": ("spec", "check", "write")}


class Connector(Protocol):
    """A connector of the registry."""

    name: str
    kind: Any

    def spec(self) -> dict[str, Any]: ...

    def build(self, config: Mapping[str, Any]) -> Any: ...


def main(arguments: Sequence[str], find: Callable[[str, str], Connector], engine: Engine) -> int:
    """`NAME spec|check|discover|read|write [--config F] [--catalog F] [--state F]`; the exit code.

    `find` returns the connector of a kind and a name. From here on only protocol messages go to standard output.
    """
    options = parse_arguments(arguments)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of vendors' libraries goes to standard error
    writer = Writer(own)
    log_handler = ProtocolLogHandler(writer)
    logger = logging.getLogger("kitestring")
    logger.handlers, logger.propagate = [log_handler], False
    logger.setLevel(logging.DEBUG if options.debug else logging.INFO)
    try:
        return run(options, find, engine, writer, log_handler)
    except BrokenPipeError:
        return 1
    except KitestringError as error:
        writer.error(log_handler.redactor.error(error))
    except Exception as crash:
        log.debug("crashed", exc_info=True)
        message = log_handler.redactor.text(f"{type(crash).__name__}: {crash}")
        writer.error(ConnectorError(message, hint="Please report this, with the debug log."))
    finally:
        with contextlib.suppress(OSError):
            own.flush()
    return 1


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kitestring airbyte run", description=__doc__)
    parser.add_argument("connector", help="a connector: sample, source-sample, destination-milvus")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("spec", "check", "discover", "read", "write"):
        command = commands.add_parser(name)
        command.add_argument("--debug", action="store_true")
        if name != "spec":
            command.add_argument("--config", required=True, metavar="FILE")
        if name in ("read", "write"):
            command.add_argument("--catalog", required=True, metavar="FILE")
        if name == "read":
            command.add_argument("--state", metavar="FILE")
    return parser.parse_args(arguments)


def run(
    options: argparse.Namespace,
    find: Callable[[str, str], Connector],
    engine: Engine,
    writer: Writer,
    log_handler: ProtocolLogHandler,
) -> int:
    connector = choose_connector(options.connector, options.command, find)
    if options.command == "spec":
        writer.message("SPEC", "spec", spec_body(connector))
        return 0
    config = read_json(options.config, "configuration")
    if not isinstance(config, dict):
        raise ConfigError(f"the configuration {options.config} is not an object", hint="Correct the file.")
    log_handler.redactor.hide(secrets_in(config, connector.spec()))
    if options.command == "check":
        return check(connector, config, writer, log_handler)
    built = connector.build(config)
    if hasattr(built, "on_config"):
        built.on_config(writer.control)
    try:
        if options.command == "discover":
            writer.message("CATALOG", "catalog", catalog_body(built.discover()))
            return 0
        catalog = read_json(options.catalog, "catalog")
        if options.command == "read":
            state = read_json(options.state, "state") if options.state else None
            return read(built, catalog, state, engine, writer, log_handler)
        return write(built, catalog, 0, engine, writer, log_handler)
    finally:
        built.close()


def choose_connector(name: str, command: str, find: Callable[[str, str], Connector]) -> Connector:
    """The connector of this name; its kind comes from its prefix (`source-`, `destination-`), the command, or the only
    match."""
    kind = next((k for k in COMMANDS if name.startswith(f"{k}-")), None)
    kinds = [kind] if kind else [k for k, commands in COMMANDS.items() if command in commands]
    connectors, errors = [], []
    for each_kind in kinds:
        try:
            connectors.append(find(each_kind, name))
        except ConfigError as error:
            errors.append(error)
    if not connectors:
        raise errors[0]
    if len(connectors) > 1:
        raise ConfigError(
            f"{name} is a source and a destination", hint=f"Write source-{name} or destination-{name}.", name=name
        )
    if command not in COMMANDS[connectors[0].kind]:
        raise ConfigError(
            f"{connectors[0].kind} {name} has no command {command}",
            hint=f"It has: {', '.join(COMMANDS[connectors[0].kind])}.",
        )
    return connectors[0]


def spec_body(connector: Connector) -> dict[str, Any]:
    """The body of a SPEC message."""
    body: dict[str, Any] = {
        "protocol_version": "0.2.0",
        "documentationUrl": f"{DOCS}/{connector.kind}s/{connector.name}.md",
        "connectionSpecification": connector.spec(),
        "supportsIncremental": True,
        "supportsNormalization": False,
        "supportsDBT": False,
    }
    if connector.kind == "destination":
        writes = getattr(getattr(connector, "load", lambda: None)(), "writes", None)
        if isinstance(writes, frozenset):
            body["supported_destination_sync_modes"] = sorted(w for w, write in modes.WRITES.items() if write in writes)
    return body


def check(connector: Connector, config: Mapping[str, Any], writer: Writer, log_handler: ProtocolLogHandler) -> int:
    try:
        built = connector.build(config)
        try:
            built.check()
        finally:
            built.close()
    except KitestringError as error:
        message = log_handler.redactor.text(f"{error.message}. {error.hint}" if error.hint else error.message)
        writer.message("CONNECTION_STATUS", "connectionStatus", {"status": "FAILED", "message": message})
        return 0
    writer.message("CONNECTION_STATUS", "connectionStatus", {"status": "SUCCEEDED"})
    return 0


def script(name: str, folder: str, python: str) -> str:
    """Write an executable that runs this connector as Airbyte's tools expect; return its path."""
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec "{python}" -m kitestring airbyte run {name} "$@"\n')
    os.chmod(path, 0o755)  # noqa: S103 - a program is to be run
    return path
