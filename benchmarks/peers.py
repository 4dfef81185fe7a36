"""The peers that other benchmarks measure Kitestring beside, each in an environment of its own, from PyPI.

    python benchmarks/peers.py [--folder ~/.cache/kitestring-peers]

Made once; a benchmark leaves out what is not there, and says so. The newest releases of ingestr (1.x) and sling (1.5
on) fetch a binary from elsewhere when they first run: here are the newest ones whose wheels hold everything. Of this
ingestr the connectorx back end does not work with the connectorx that PyPI has now (`arrow2`).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path("~/.cache/kitestring-peers").expanduser()
PACKAGES = {
    "dlt": ["dlt[postgres,parquet,duckdb,sql_database]", "connectorx", "adbc-driver-postgresql"],
    "ingestr": ["ingestr<0.14"],
    "sling": ["sling-linux-amd64"],
}
PROGRAMS = {
    "dlt": "bin/python",
    "ingestr": "bin/ingestr",
    "sling": "lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64",
}
QUIET = {"DISABLE_TELEMETRY": "true", "RUNTIME__DLTHUB_TELEMETRY": "false", "SLING_DISABLE_TELEMETRY": "true"}
"""Without it, a peer may wait for a server of its maker after its work is done."""


def program(name: str, folder: Path = FOLDER) -> Path | None:
    """The program of a peer, or None, with a word, where it is not installed."""
    path = next(iter(sorted((folder / name).glob(PROGRAMS[name]))), None)
    if path is None:
        print(f"{name} is left out: it is not installed (python benchmarks/peers.py)")
    return path


def install(name: str, folder: Path) -> str:
    """Its version, or why it cannot be installed."""
    uv = Path(sys.executable).parent / "uv"
    uv = uv if uv.exists() else Path(shutil.which("uv") or "uv")
    home = folder / name
    try:
        if not home.exists():
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, home], check=True)
            subprocess.run(
                [uv, "pip", "install", "-q", "--python", home / "bin" / "python", *PACKAGES[name]], check=True
            )
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(home, ignore_errors=True)
        return f"cannot be installed: {error}"
    package = PACKAGES[name][0].partition("[")[0].partition("<")[0]
    done = subprocess.run(
        [home / "bin" / "python", "-c", f"import importlib.metadata as m; print(m.version({package!r}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        print(f"{name}: {install(name, folder)}", flush=True)


if __name__ == "__main__":
    main()
