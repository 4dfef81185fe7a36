"""The installed command, as a process: signals, exit codes, terminals, and the demo."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

SLOW_SOURCE = '''
import time
from collections.abc import Iterator

import kitestring as ks


class Slow(ks.Source):
    """A record every few milliseconds, with a checkpoint behind each."""

    count: int = 100000
    deaf: bool = False

    def discover(self):
        return ks.Catalog((ks.Stream("ticks", primary_key=(("id",),), cursor=("id",), source_defined_cursor=True,
            sync_modes=(ks.SyncMode.full_refresh, ks.SyncMode.incremental),
            schema={"type": "object", "properties": {"id": {"type": "integer"}}}),))

    def read(self, partition, states):
        begin = states.get("ticks", {}).get("id", 0)
        for number in range(begin + 1, self.count + 1):
            time.sleep(0.002)
            yield {"id": number}
            if number % 10 == 0:
                yield ks.Checkpoint({"id": number})
        if self.deaf:
            time.sleep(600)


class Lines(ks.Destination):
    """JSON lines."""

    path: str
    batch_rows = 10

    def write(self, stream, batch):
        import json, os
        with open(self.path, "a") as file:
            file.writelines(json.dumps(row) + "\\n" for row in batch.rows())
            file.flush()
            os.fsync(file.fileno())
'''


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds the two connectors above by their entry points."""
    site = tmp_path / "site"
    info = site / "slow-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "slow_lines.py").write_text(SLOW_SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[kitestring.sources]\nslow = slow_lines:Slow\n[kitestring.destinations]\nlines = slow_lines:Lines\n"
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KITESTRING_")}
    return {**kept, "PYTHONPATH": str(site), "NO_COLOR": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "kitestring.yaml").write_text(
        dedent("""\
            sources:
              slow: {connector: slow}
            destinations:
              lines: {connector: lines, config: {path: out.jsonl}}
            connections:
              ticking: {source: slow, destination: lines}
            """)
    )
    return folder


def started(folder: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kitestring", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, lines: int = 40, within_s: float = 300.0) -> None:
    until = time.monotonic() + within_s
    while not (path.exists() and path.read_bytes().count(b"\n") >= lines):
        assert time.monotonic() < until, f"{path} did not grow"
        time.sleep(0.02)


def ids(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_at_a_checkpoint_and_the_next_sync_goes_on(
    number: signal.Signals, project: Path, environment: dict[str, str]
) -> None:
    running = started(project, environment, "sync", "ticking", "--json")
    wait_for(project / "out.jsonl")
    running.send_signal(number)
    out, err = running.communicate()
    assert running.returncode == 130, err
    assert "Stopping at a checkpoint" in err
    result = json.loads(out)
    assert result["status"] == "cancelled"
    written = ids(project / "out.jsonl")
    assert result["streams"]["ticks"]["written"] == len(written)
    state = json.loads(
        subprocess.run(
            [sys.executable, "-m", "kitestring", "state", "show", "ticking", "ticks"],
            cwd=project, env=environment, check=True, capture_output=True,
        ).stdout
    )  # fmt: skip
    assert 0 < state["id"] <= written[-1]
    config = (project / "kitestring.yaml").read_text()
    total = written[-1] + 50
    (project / "kitestring.yaml").write_text(
        config.replace("{connector: slow}", f"{{connector: slow, config: {{count: {total}}}}}")
    )
    second = started(project, environment, "sync", "ticking", "--json")
    out, err = second.communicate()
    assert second.returncode == 0, err
    assert set(ids(project / "out.jsonl")) == set(range(1, total + 1))
    assert json.loads(out)["streams"]["ticks"]["read"] == total - state["id"]


def test_the_second_signal_ends_at_once(project: Path, environment: dict[str, str]) -> None:
    config = (project / "kitestring.yaml").read_text()
    (project / "kitestring.yaml").write_text(
        config.replace("{connector: slow}", "{connector: slow, config: {count: 200, deaf: true}}")
    )
    running = started(project, environment, "sync", "--quiet")
    wait_for(project / "out.jsonl", lines=200)  # from now on the source looks at no signal
    running.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    running.communicate()
    # Where it comes while the interpreter ends, the signal itself ends the process: a shell says 130 for both.
    assert running.returncode in (130, -signal.SIGINT)
    assert time.monotonic() - began < 300


def test_two_syncs_of_one_connection_do_not_run_at_the_same_time(project: Path, environment: dict[str, str]) -> None:
    running = started(project, environment, "sync", "ticking")
    wait_for(project / "out.jsonl")
    second = started(project, environment, "sync", "ticking")
    _, err = second.communicate()
    assert second.returncode == 2
    assert "another sync of the connection ticking is running" in err
    running.send_signal(signal.SIGTERM)
    running.communicate()


def test_progress_on_a_terminal_is_a_table_that_leaves_only_the_summary(
    project: Path, environment: dict[str, str]
) -> None:
    config = (project / "kitestring.yaml").read_text()
    (project / "kitestring.yaml").write_text(
        config.replace("{connector: slow}", "{connector: slow, config: {count: 600}}")
    )
    main, other = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "kitestring", "sync"],
        cwd=project,
        env={**environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        stdout=subprocess.PIPE,
        stderr=other,
    )
    os.close(other)
    data = b""
    while running.poll() is None or select.select([main], [], [], 0)[0]:
        if select.select([main], [], [], 0.1)[0]:
            try:
                data += os.read(main, 65536)
            except OSError:  # the other side is closed
                break
    assert running.stdout is not None
    out = running.stdout.read().decode()
    running.stdout.close()
    os.close(main)
    assert running.wait() == 0
    assert re.search(r"Records/s", data.decode())
    assert "ticks" in data.decode()
    assert '"progress"' not in data.decode()
    assert "ticking: succeeded" in out


def test_output_that_nobody_reads_any_more_is_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} -m kitestring read sample users -n 0 -c count=20000 | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert json.loads(done.stdout)["id"] == 1
    assert done.returncode == 0


def test_a_defect_is_two_lines_and_asks_for_a_report(environment: dict[str, str], project: Path) -> None:
    environment = {**environment, "KITESTRING_HOME": "/dev/null/nowhere"}
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "sync", "--log-level", "error", "-q"],
        cwd=project, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demo_embeds_only_what_changed(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "demo"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    embedded = [int(n) for n in re.findall(r"([\d,]+) embedded", done.stdout.replace(",", ""))]
    assert len(embedded) == 3
    assert embedded[0] > 400
    assert 0 < embedded[1] <= 10
    assert embedded[2] == 0
    assert "Two-factor codes are rejected" in done.stdout
    assert "Paying for users who left" in done.stdout
    assert done.stdout.count("succeeded in") == 3
    searched = subprocess.run(
        [
            *(sys.executable, "-m", "kitestring", "search", "-p", ".kitestring/demo/kitestring.yaml", "--json"),
            *("cards deleted by mistake", "--stream", "tickets", "--where", "status=new", "-n", "3"),
        ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    hits = [json.loads(line) for line in searched.stdout.splitlines()]
    assert len(hits) == 3
    assert {hit["status"] for hit in hits} == {"new"}
    second = subprocess.run(
        [sys.executable, "-m", "kitestring", "demo", "--folder", "."],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert second.returncode == 2
    assert "not from an earlier demo" in second.stderr


def test_a_manifest_speaks_airbytes_protocol(environment: dict[str, str], tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    manifest = re.search(r"^```yaml manifest\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert manifest is not None
    (tmp_path / "countries.yaml").write_text(manifest[1])
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "airbyte", "manifest", "spec", "--manifest-path", "countries.yaml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (message,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert message["type"] == "SPEC"
    assert message["spec"]["connectionSpecification"]["required"] == ["token"]
