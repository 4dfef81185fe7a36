"""`python -m benchmarks`: every benchmark with its own settings, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS = (
    "json_codec",
    "vectors",
    "startup",
    "http_pages",
    "chunking",
    "postgres",
    "capture",
    "binlog",
    "clickhouse",
    "pgvector",
    "search",
    "foreign",
    "server",
    "interface",
)


def main() -> int:
    failed = []
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py")], cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
