"""The program of a foreign connector: its settings, its configuration, and the result of one command."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PrivateAttr, model_validator

from kitestring import activity
from kitestring.airbyte import environment
from kitestring.airbyte.connector_process import Container, Local, Process, Program, container_engine
from kitestring.airbyte.decode import Garbage
from kitestring.config import Config, option, secrets_in
from kitestring.errors import Cancelled, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.redact import Redactor

log = logging.getLogger("kitestring.airbyte")

SECRETIVE = (
    "[sS]ecret|SECRET|[tT]oken|TOKEN|[pP]assw|PASSW|[pP]assphrase|[pP]wd|[aA]pi_?[kK]ey|API_?KEY|[aA]ccess_?[kK]ey|"
    "[pP]rivate_?[kK]ey|credentials_|service_account|connection_string|^key$|_key_id$|^dsn$|signature|certificate"
)
LEVELS = {"FATAL": 50, "CRITICAL": 50, "ERROR": 40, "WARN": 30, "WARNING": 30, "INFO": 20, "DEBUG": 10, "TRACE": 10}


def by_name(depth: int = 4) -> dict[str, Any]:
    """A schema that finds secrets by field names: only the connector's own spec knows what is secret."""
    inner: Any = by_name(depth - 1) if depth else True
    schema: dict[str, Any] = {"patternProperties": {SECRETIVE: {"airbyte_secret": True}}, "additionalProperties": inner}
    if depth:
        schema["items"] = inner
    return schema


class ProgramConfig(Config):
    """The settings of every foreign connector: one of `package`, `path`, `command`, `image`; and its configuration."""

    facts: ClassVar[Facts] = Facts(network="native", programs=True, category="other connectors", extra="airbyte")

    package: str = option("", order=0, title="Package")
    """A package of PyPI with its version (`airbyte-source-faker==7.2.1`), installed into an environment of its own."""

    path: str = option("", order=1, title="Path")
    """A program of this machine."""

    command: list[str] = option(default_factory=list, order=2, title="Command")
    """A program of this machine with arguments before the protocol's."""

    image: str = option("", order=3, title="Image")
    """A container image (`airbyte/source-postgres:3.7.0`), run by docker or podman."""

    python: str = option("", order=4, title="Python")
    """For `package`: another Python than this one (`3.11`, or the path of an interpreter)."""

    executable: str = option("", order=5, title="Executable")
    """For `package`: the program to run, where the package has several."""

    config: dict[str, Any] = option(default_factory=dict, order=6, title="Configuration", **by_name())
    """The connector's own configuration."""

    config_file: Path | None = option(None, order=7, title="Configuration file", local_path=True)
    """A JSON file with the connector's own configuration, instead of `config`. A connector that changes its
    configuration (a refresh token for one use) changes this file."""

    environment: dict[str, str] = option(default_factory=dict, order=8, title="Environment", airbyte_secret=True)
    """Environment variables for the program."""

    quiet_s: float = option(3600.0, gt=0, order=9, title="Longest silence")
    """After this many seconds without a message, and without an announced wait, the program counts as hung."""

    _running: set[Process] = PrivateAttr(default_factory=set)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _on_config: Callable[[dict[str, Any]], None] | None = PrivateAttr(default=None)
    _rotated: dict[str, Any] | None = PrivateAttr(default=None)
    _redactor: Redactor | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check_program(self) -> ProgramConfig:
        names = [name for name in ("package", "path", "command", "image") if getattr(self, name)]
        if len(names) != 1:
            problem = f"{' and '.join(names)} are" if names else "none is"
            raise ValueError(f"exactly one of package, path, command and image names the program, {problem} given")
        if self.config and self.config_file:
            raise ValueError("config and config_file are both given, only one is allowed")
        return self

    # -- its configuration ---------------------------------------------------------------------------------------------

    def on_config(self, call: Callable[[dict[str, Any]], None]) -> None:
        """Pass a configuration that the connector changes to `call`, instead of saving it in a file."""
        self._on_config = call

    def configuration(self) -> dict[str, Any]:
        """The connector's own configuration, with its own changes."""
        if self._rotated is not None:
            return self._rotated
        if self.config_file is not None:
            values = read_object(self.config_file.expanduser())
            if values is None:
                raise ConfigError(f"the configuration file {self.config_file} does not exist", hint="Check the path.")
            return values
        return read_object(self._kept_path()) or self.config

    def _kept_path(self) -> Path:
        """The file of a changed configuration without `config_file`; another `config` has another file."""
        identity = json.dumps([self.package, self.path, self.command, self.image, self.config], sort_keys=True)
        home = Path(os.environ.get("KITESTRING_HOME") or ".kitestring").expanduser()
        return home / "configurations" / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.json"

    def keep(self, config: dict[str, Any]) -> None:
        """Save a configuration that the connector changed, before it continues."""
        redactor = self.redactor()  # the old secrets stay hidden
        self._rotated = config
        redactor.hide(self._secrets())
        if self._on_config is not None:
            self._on_config(config)
            return
        path = self.config_file.expanduser() if self.config_file is not None else self._kept_path()
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(config, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise ConfigError(
                f"the configuration that {self.title} changed cannot be kept in {path}: {error.strerror}",
                hint="Make the folder writable: the old configuration may no longer be valid.",
            ) from error
        log.info("kept a configuration that the connector changed", extra={"connector": self.title, "path": str(path)})

    def hide(self, text: str) -> str:
        """The text without the secrets of the configuration."""
        return self.redactor().text(text)

    def redactor(self) -> Redactor:
        """Hides every secret that the configuration holds or held."""
        if self._redactor is None:
            self._redactor = Redactor(self._secrets())
        return self._redactor

    def _secrets(self) -> set[str]:
        """The secrets of the configuration as it is."""
        config: Any = {}
        with contextlib.suppress(KitestringError):  # its error is raised where the configuration is used
            config = self.configuration()
        return {*secrets_in(config, by_name()), *self.environment.values()}

    # -- its program ---------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Its name in messages."""
        return self.package or self.image or self.path or shlex.join(self.command[:2])

    def program_names(self) -> list[str]:
        """Its names in a list of allowed programs: `package:…`, `path:…`, `command:…`, `image:…`. None where other
        options change the program."""
        if self.python or self.executable or self.environment:
            return []
        names = {"package": self.package, "path": self.path, "image": self.image, "command": shlex.join(self.command)}
        return [f"{kind}:{name}" for kind, name in names.items() if name]

    def program(self) -> Program:
        """The program to start; a package is installed on first use."""
        if self.image:
            return Container(container_engine(), self.image)
        if self.package:
            place = environment.ensure(self.package, self.python)
            return Local([str(environment.script(place, self.package, self.executable))])
        argv = self.command or [self.path]
        executable = shutil.which(os.path.expanduser(argv[0]))
        if executable is None:
            raise ConfigError(f"there is no executable program {argv[0]}", hint="Check the path, and its permissions.")
        return Local([os.path.abspath(executable), *argv[1:]])

    def start(self, arguments: Sequence[str], files: Mapping[str, Any], *, stdin: bool = False) -> Process:
        """Start the program; the caller must pass it to `released` in the end."""
        if os.name == "nt":
            raise ConfigError("foreign connectors need Linux or macOS", hint="Run Kitestring in WSL or a container.")
        process = Process(
            self.program(), arguments, files, environment=self.environment, stdin=stdin, hear=self._hear_stderr
        )
        with self._lock:
            self._running.add(process)
        return process

    def released(self, process: Process) -> None:
        """End the program with its children, and forget it."""
        with self._lock:
            self._running.discard(process)
        process.release()

    @contextlib.contextmanager
    def started(self, arguments: Sequence[str], files: Mapping[str, Any]) -> Iterator[Process]:
        """The running program; it is ended when the block is left."""
        process = self.start(arguments, files)
        try:
            yield process
        finally:
            self.released(process)

    def end_all(self) -> None:
        """End all running programs; a thread that reads from one gets `Cancelled`."""
        with self._lock:
            running = list(self._running)
        for process in running:
            process.close()

    def _hear_stderr(self, text: str) -> None:
        log.info(self.hide(text), extra={"connector": self.title})

    # -- its messages --------------------------------------------------------------------------------------------------

    def answer(self, arguments: Sequence[str], files: Mapping[str, Any], kind: str) -> Any:
        """The body of the one message that a command (`spec`, `check`, `discover`) returns."""
        errors: list[KitestringError] = []
        body: Any = None
        with self.started(arguments, files) as process:
            for messages, _ in process.messages(lambda: self.quiet_s):
                for message in messages:
                    if isinstance(message, Garbage):
                        log.info(self.hide(message.text), extra={"connector": self.title})
                    elif message.get("type") == kind.upper():
                        body = message.get(BODIES[kind])
                    else:
                        error = self.heard(message)
                        if error is not None:
                            errors.append(error)
            if process.stopped:
                raise Cancelled(f"{self.title} was ended during {arguments[0]}")
            code = process.code()
        if body is not None:
            return body
        if errors:
            raise errors[-1]
        raise self.unexplained(process, f"ended with {exit_text(code)} and without the answer to {arguments[0]}")

    def heard(self, message: Mapping[str, Any]) -> KitestringError | None:
        """Handle a message of any command: log lines, changed configurations. Returns an error message as an error."""
        match message.get("type"):
            case "LOG":
                entry = part(message, "log")
                level = LEVELS.get(str(entry.get("level")).upper(), 20)
                text = self.hide(str(entry.get("message")))
                log.log(level, "%s", text, extra={"connector": self.title})
                if entry.get("stack_trace"):
                    log.debug(self.hide(str(entry["stack_trace"])), extra={"connector": self.title})
            case "CONTROL":
                body = part(message, "control")
                config = part(body, "connectorConfig").get("config")
                if body.get("type") == "CONNECTOR_CONFIG" and isinstance(config, dict):
                    self.keep(config)
            case "TRACE":
                trace = part(message, "trace")
                if trace.get("type") == "ERROR":
                    return self.error_of(part(trace, "error"))
                if trace.get("type") == "ESTIMATE":
                    expect_rows(part(trace, "estimate"))
                    log.debug(
                        "estimate",
                        extra={
                            "connector": self.title,
                            **{f"estimate_{k}": v for k, v in part(trace, "estimate").items()},
                        },
                    )
            case _:
                log.debug("a message that is not expected here", extra={"type": message.get("type")})
        return None

    def error_of(self, error: Mapping[str, Any]) -> KitestringError:
        """A TRACE error as ours: its class depends on who has to act."""
        message = self.hide(str(error.get("message") or error.get("internal_message") or "no reason was given"))
        fields: dict[str, Any] = {
            "connector": self.title,
            "internal_message": self.hide(str(error.get("internal_message") or ""))[:2000],
            "stack_trace": self.hide(str(error.get("stack_trace") or ""))[-8000:],
        }
        match error.get("failure_type"):
            case "config_error":
                return ConfigError(f"{self.title}: {message}", hint="Correct the connector's configuration.", **fields)
            case "transient_error":
                return TransientError(f"{self.title}: {message}", hint="Try again later.", **fields)
        return ConnectorError(f"{self.title}: {message}", hint="`--debug` shows what the connector logged.", **fields)

    def unexplained(self, process: Process, what: str) -> ConnectorError:
        """The error for an end without a reason, with the last lines of standard error."""
        last = self.hide(" | ".join(list(process.tail)[-3:]))
        return ConnectorError(
            f"{self.title} {what}" + (f"; its last lines: {last[-800:]}" if last else ""),
            hint="`--debug` shows what the connector logged.",
            stderr=self.hide("\n".join(process.tail)),
        )


BODIES = {"spec": "spec", "connection_status": "connectionStatus", "catalog": "catalog"}


def run_check(program: ProgramConfig) -> None:
    """Run `check`; `ConfigError` with the connector's reason where it fails."""
    status = program.answer(
        ["check", "--config", "@config.json"], {"config.json": program.configuration()}, "connection_status"
    )
    if not isinstance(status, Mapping) or status.get("status") != "SUCCEEDED":
        reason = program.hide(str((status or {}).get("message") or "it gave no reason"))
        raise ConfigError(f"{program.title} refused its configuration: {reason}", hint="Correct `config`.")


def program_facts(title: str, summary: str, package: str, config: str) -> Facts:
    """The facts of a kind of foreign connectors, with a package of PyPI and a configuration as an example."""
    text = f"""\
# A package of PyPI with its version, installed into an environment of its own.
# Instead: `path`, a program; `command`, a program with arguments; `image`, a container image.
package: {package}
# The connector's own configuration.
config: {config}
"""
    facts: Facts = replace(ProgramConfig.facts, title=title, summary=summary, proposal=Proposal(config=text))
    return facts


def fetch_spec(program: ProgramConfig) -> dict[str, Any]:
    """The connector's own SPEC message, with its schema in `connectionSpecification`."""
    spec = program.answer(["spec"], {}, "spec")
    if not isinstance(spec, dict):
        raise ConnectorError(f"{program.title} gave a spec that is not an object", hint="Report it to its author.")
    return spec


def exit_text(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of this name in a message; an empty one where there is none."""
    value = message.get(name)
    return value if isinstance(value, Mapping) else {}


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no file."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error}", hint="Correct the file.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"the configuration file {path} is not a JSON object", hint="Correct the file.")
    return value


def expect_rows(estimate: Mapping[str, Any]) -> None:
    """A connector's estimate of a stream is what the sync expects of it."""
    rows, name, namespace = estimate.get("row_estimate"), estimate.get("name"), estimate.get("namespace")
    if isinstance(rows, int) and rows > 0 and estimate.get("type", "STREAM") == "STREAM":
        activity.expect(rows, f"{namespace}.{name}" if namespace else str(name))
