"""Runs a manifest with Python components by Airbyte's CDK, in its own environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from kitestring.airbyte import cdk, environment
from kitestring.airbyte.connector_process import Local, Process, Program
from kitestring.airbyte.observed_reading import Note, ObservedReading
from kitestring.airbyte.source import AirbyteSource, Reading
from kitestring.config import secrets_in
from kitestring.declarative.builder.bundle import bundled_file
from kitestring.declarative.manifest import (
    connection_specification,
    json_values,
    load,
    python_classes,
    read_text,
    resolve,
)
from kitestring.declarative.python_components import CLASS, FIELD, check_scope, components_text
from kitestring.errors import ConfigError
from kitestring.types import Stream

log = logging.getLogger("kitestring.airbyte")

INTERPRETER = "KITESTRING_CDK_PYTHON"
"""The environment variable with the path of a Python that has airbyte-cdk; without it the package is installed."""
ALLOW = "allow_custom_code"
OWN = "airbyte_cdk."
"""Classes of the CDK itself need no components.py."""


class CustomCodeSource(AirbyteSource):
    """A low-code connector with Python components. Its configuration must contain `allow_custom_code: true`."""

    _manifest_path: Path = PrivateAttr(default=Path())
    _form: dict[str, Any] = PrivateAttr(default_factory=dict)
    _components: Path | None = PrivateAttr(default=None)
    _carried: dict[str, Any] | None = PrivateAttr(default=None)
    """The manifest's values, where it has no file and carries its components."""
    _observe: Callable[[Note], None] | None = PrivateAttr(default=None)
    _limits: dict[str, int] | None = PrivateAttr(default=None)

    @classmethod
    def from_manifest(cls, path: Path, config: Mapping[str, Any]) -> CustomCodeSource:
        """The source of a manifest with Python components. `ConfigError` without the permission."""
        manifest = load(path)
        classes = dict(python_classes(manifest))
        name, place = next(iter(classes.items()))
        if config.get(ALLOW) is not True:
            raise ConfigError(
                f"the manifest {path.name} needs Python code: {name} ({place})",
                hint=f"If you trust its author, set `{ALLOW}: true` in the source's config: "
                "Airbyte's CDK then runs it, with all the rights of this process.",
                place=place,
            )
        foreign = [class_name for class_name in classes if not class_name.startswith(OWN)]
        code = path.with_name("components.py")
        if foreign and components_text(manifest) is not None:
            return cls._of_carrying_file(path, config)
        if foreign and not code.is_file():
            raise ConfigError(
                f"the manifest {path.name} needs the Python class {foreign[0]}, and there is no {code}",
                hint=f"Put the connector's components.py beside its manifest, or its text into metadata.{FIELD}.",
                place=classes[foreign[0]],
            )
        source = cls._with_program(cdk.requirement(path.resolve().parent, manifest), config)
        source._manifest_path, source._components = path.resolve(), code.resolve() if foreign else None
        source._form = dict(connection_specification(manifest))
        log.warning(
            "the manifest %s has Python components (%s): Airbyte's CDK runs it, not Kitestring's engine",
            path.name,
            ", ".join(sorted(class_name.rpartition(".")[2] for class_name in classes)),
            extra={"manifest": str(path), "components": sorted(classes)},
        )
        return source

    @classmethod
    def _of_carrying_file(cls, path: Path, config: Mapping[str, Any]) -> CustomCodeSource:
        """The source of a file whose manifest carries its components. `ConfigError` where other code is beside it."""
        values = json_values(bundled_file(path, read_text(path)).text)
        check_scope(resolve(values))
        log.warning(
            "the manifest %s carries Python components: Airbyte's CDK runs it, not Kitestring's engine",
            path.name,
            extra={"manifest": str(path)},
        )
        return cls.of_components(values, config)

    @classmethod
    def of_components(cls, manifest: Mapping[str, Any], config: Mapping[str, Any]) -> CustomCodeSource:
        """The source of a manifest's values that carries its components (`python_components`). Whether they may run is
        for the caller to decide; no other code runs. Nothing is started."""
        source = cls._with_program(f"airbyte-cdk{cdk.of_manifest(manifest)}", config)
        source._carried = dict(manifest)
        source._form = dict(connection_specification(manifest))
        return source

    @classmethod
    def _with_program(cls, requirement: str, config: Mapping[str, Any]) -> CustomCodeSource:
        # The CDK would run code that a configuration holds under such a key.
        own = {key: value for key, value in config.items() if key != ALLOW and not key.startswith("__injected")}
        interpreter = os.environ.get(INTERPRETER)
        settings: dict[str, Any] = (
            {"command": [interpreter, "-c", cdk.RUN]} if interpreter else {"package": requirement}
        )
        return cls.load({**settings, "config": own, "environment": {"AIRBYTE_ENABLE_UNSAFE_CODE": "true"}})

    def __reduce__(self) -> tuple[Any, ...]:
        if self._carried is not None:
            return CustomCodeSource.of_components, (self._carried, self.config)
        return CustomCodeSource.from_manifest, (self._manifest_path, {**self.config, ALLOW: True})

    @property
    def title(self) -> str:
        return f"the manifest {self._manifest_path.name}".strip()

    def program(self) -> Program:
        """The CDK's Python with the program that runs a manifest; installed on first use."""
        run = cdk.RUN if self._carried is None else cdk.RUN_CARRIED
        if not self.package:
            return Local([self.command[0], "-c", run])
        return Local([str(environment.ensure(self.package, self.python) / "bin" / "python"), "-c", run])

    def spec_of_connector(self) -> dict[str, Any]:
        return {"connectionSpecification": self._form}

    def observe(self, slices: int, pages: int, records: int, observe: Callable[[Note], None]) -> None:
        """Make the reads of a manifest that carries its components test reads: `observe` gets each slice and request,
        after the records before it. The CDK reads at most so many slices, pages of each slice, and records, and repeats
        no failed request."""
        self._observe = observe
        self._limits = {"max_slices": slices, "max_pages_per_slice": pages, "max_records": records}

    def reading(self, streams: Sequence[Stream]) -> Reading:
        return super().reading(streams) if self._observe is None else ObservedReading(self, streams, self._observe)

    def start(self, arguments: Sequence[str], files: Mapping[str, Any], *, stdin: bool = False) -> Process:
        if self._carried is not None:
            metadata = {key: value for key, value in self._carried["metadata"].items() if key != FIELD}
            manifest = {**self._carried, "metadata": metadata}
            if self._limits is not None:  # requests and records then come in the order of the pages
                manifest["concurrency_level"] = {"type": "ConcurrencyLevel", "default_concurrency": 1}
            carried = {
                "manifest": manifest,
                "components": components_text(self._carried),
                "classes": CLASS.pattern,
                "limits": self._limits,
            }
            more = {**files, "carried.json": carried}
            return super().start([*arguments, "--carried-path", "@carried.json"], more, stdin=stdin)
        paths = ["--manifest-path", str(self._manifest_path)]
        if self._components is not None:
            paths += ["--components-path", str(self._components)]
        return super().start([*arguments, *paths], files, stdin=stdin)

    def _secrets(self) -> set[str]:
        """Also those that the manifest's spec declares; the environment variable is no secret."""
        return (super()._secrets() - set(self.environment.values())) | set(secrets_in(self.config, self._form))
