"""One Python environment per package: created by uv, pinned by its requirement, cached, shared by all processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from kitestring.errors import ConfigError, TransientError

log = logging.getLogger("kitestring.airbyte")

MARK = "kitestring.json"
"""Written last: an environment without it is unfinished, and is created again."""
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
NETWORK = re.compile(
    r"error sending request|dns error|timed out|connection (reset|refused)|failed to fetch|network|temporar", re.I
)
INSTALL_S = 900


def folder() -> Path:
    """The folder of environments: `envs` in `KITESTRING_HOME`, else in the user's cache."""
    home = os.environ.get("KITESTRING_HOME")
    if home:
        return Path(home).expanduser().absolute() / "envs"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "kitestring" / "envs"


def ensure(requirement: str, python: str = "") -> Path:
    """The environment of a package (`airbyte-source-faker==7.2.1`), installed on first use.

    Safe for concurrent calls. An environment never changes; a requirement without a version keeps the version that was
    current at installation. `ConfigError`: no such package or version; `TransientError`: the registry is unreachable.
    """
    name = name_of(requirement)
    digest = hashlib.sha256(json.dumps([requirement.strip(), python]).encode()).hexdigest()[:10]
    place = folder() / f"{name}-{digest}"
    if (place / MARK).is_file():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the environment of {requirement} cannot be kept in {place.parent}: {error.strerror}",
            hint="Set KITESTRING_HOME to a folder that can be written.",
        ) from error
    with locked(place.with_suffix(".lock")):
        if not (place / MARK).is_file():
            install(place, requirement.strip(), python)
    return place


def install(place: Path, requirement: str, python: str) -> None:
    uv = uv_program()
    began = time.monotonic()
    log.info("installing a connector", extra={"package": requirement})
    shutil.rmtree(place, ignore_errors=True)
    try:
        run([uv, "venv", "--quiet", "--no-project", "--python", python or sys.executable, str(place)], requirement)
        interpreter = str(place / "bin" / "python")
        run([uv, "pip", "install", "--quiet", "--python", interpreter, requirement], requirement)
        distribution = find_distribution(place, name_of(requirement))
        mark = {"requirement": requirement, "version": distribution.version, "at": datetime.now(UTC).isoformat()}
        draft = place / f"{MARK}.tmp"
        draft.write_text(json.dumps(mark) + "\n", "utf-8")
        draft.replace(place / MARK)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    seconds = round(time.monotonic() - began, 1)
    log.info(
        "installed a connector", extra={"package": requirement, "version": distribution.version, "seconds": seconds}
    )
    if "=" not in requirement and "@" not in requirement:
        log.warning(
            "the package has no pinned version; it stays at the one installed now",
            extra={"package": requirement, "pin": f"{requirement}=={distribution.version}"},
        )


def run(command: list[str], requirement: str) -> None:
    # The variables of an activated environment would misdirect uv.
    clean = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=clean, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"installing {requirement} took longer than {INSTALL_S} s", package=requirement) from error
    if done.returncode:
        output = " ".join(done.stderr.split())[-600:] or f"uv ended with {done.returncode}"
        if NETWORK.search(output) and "not found in the package registry" not in output:
            raise TransientError(
                f"{requirement} cannot be installed: the package index cannot be reached ({output})",
                hint="Try again with a network, or install it beforehand and name its program with `path`.",
                package=requirement,
            )
        raise ConfigError(
            f"{requirement} cannot be installed: {output}",
            hint="Check the name and the version; `python` chooses another interpreter.",
            package=requirement,
        )


def script(place: Path, requirement: str, executable: str = "") -> Path:
    """The program that a package installed: the one of this name, or the only candidate."""
    name = name_of(requirement)
    scripts = [e.name for e in find_distribution(place, name).entry_points if e.group == "console_scripts"]
    short = name.removeprefix("airbyte-").removeprefix("meltanolabs-").removeprefix("pipelinewise-")
    likely = [script_name for script_name in scripts if script_name.startswith(("source-", "destination-", "tap-"))]
    candidates = (
        [executable]
        if executable
        else [short, name, *(likely if len(likely) == 1 else scripts if len(scripts) == 1 else [])]
    )
    for candidate in candidates:
        if candidate in scripts:
            return place / "bin" / candidate
    raise ConfigError(
        f"{requirement} installs no program {executable or short}"
        + (f"; it installs {', '.join(sorted(scripts))}" if scripts else ", nor any other"),
        hint="Name its program with `executable`.",
        package=requirement,
    )


def find_distribution(place: Path, name: str) -> Distribution:
    packages = [str(path) for path in (place / "lib").glob("python*/site-packages")]
    for distribution in distributions(path=packages):
        if normal(distribution.metadata["Name"] or "") == name:
            return distribution
    raise ConfigError(f"the environment {place} does not hold {name}", hint="Remove the folder; it is created again.")


def name_of(requirement: str) -> str:
    """The package's name in its normal form."""
    match = REQUIREMENT.match(requirement)
    if match is None:
        raise ConfigError(
            f"{requirement!r} is not a package requirement",
            hint="Write a name and a version: airbyte-source-faker==7.2.1",
        )
    return normal(match.group(1))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def uv_program() -> str:
    """The uv of this environment, or the one on the PATH."""
    beside = Path(sys.executable).parent / "uv"
    program = str(beside) if beside.is_file() else shutil.which("uv")
    if program is None:
        raise ConfigError(
            "installing a connector from PyPI needs uv, which is not installed",
            hint="Install it: pip install uv",
        )
    return program


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock, waiting for its holder; the system frees it when the holder dies."""
    import fcntl

    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.info("waiting for another process that installs the same", extra={"lock": str(path)})
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
