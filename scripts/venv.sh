#!/usr/bin/env bash
# Make .venv, with uv in it where the machine has none.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v uv >/dev/null; then
    exec uv venv --quiet --allow-existing --python '>=3.11' .venv
fi

for name in python3.13 python3.12 python3.11 python3 python; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done

if [ -z "${python:-}" ]; then
    found=$(python3 --version 2>/dev/null || echo "no Python 3")
    echo "Kitestring needs Python 3.11 or newer; this machine has $found." >&2
    echo "Install one (https://www.python.org/downloads, or your system's packages), or uv, which brings its own." >&2
    exit 1
fi

echo "Making .venv with $("$python" --version) …"
if ! "$python" -m venv .venv; then
    echo "$python cannot make a virtual environment." >&2
    echo "On Debian and Ubuntu: apt-get install $(basename "$(readlink -f "$(command -v "$python")")")-venv" >&2
    exit 1
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
