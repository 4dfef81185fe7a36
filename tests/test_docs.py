"""The documentation holds: links lead somewhere, project files load, commands and options exist, Python blocks run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from kitestring import registry
from kitestring.cli.command_line import GLOBAL_FLAGS, app, global_options_first
from kitestring.errors import ConfigError
from kitestring.project import Project, expand

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Every code block of a language, with its page and line."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in re.finditer(rf"^( *)```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            indent = len(match[1])
            body = "\n".join(line[indent:] for line in match[2].splitlines()) + "\n"
            yield f"{page.relative_to(ROOT)}:{text[: match.start()].count(chr(10)) + 1}", body


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            if not link.startswith(("http://", "https://")) and not (page.parent / link).exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert not broken


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    }
    alone = [str(page.relative_to(ROOT)) for page in PAGES if page.resolve() not in linked]
    assert alone in ([], ["README.md"])


PROJECTS = [(at, text) for at, text in blocks("yaml") if re.search(r"^(sources|destinations|connections):", text, re.M)]


@pytest.mark.parametrize(("at", "text"), PROJECTS, ids=[at for at, _ in PROJECTS])
def test_project_files_load_and_their_connectors_take_the_options(at: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "kitestring.yaml"
    path.write_text(text)
    project = Project.load(path)

    class Filled(dict[str, str]):
        def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
            return "http://127.0.0.1:1" if name.endswith("URL") else "filled-in"

    kinds: list[tuple[registry.Kind, dict[str, object]]] = [
        ("source", dict(project.file.sources)),
        ("destination", dict(project.file.destinations)),
    ]
    for kind, entries in kinds:
        for entry in entries.values():
            if not entry.connector.endswith(".yaml"):  # type: ignore[attr-defined]
                values = expand(entry.config, Filled(), str)  # type: ignore[attr-defined]
                registry.connector(kind, entry.connector).build(values)  # type: ignore[attr-defined]


def commands() -> list[tuple[str, list[str]]]:
    """Every `kitestring …` of the console blocks."""
    results = []
    for at, text in blocks("console"):
        lines = iter(re.sub(r"\\\n\s*", "", text).splitlines())
        for line in lines:
            line = re.split(r"\s+#\s", line.removeprefix("$ "))[0]
            if line.startswith("kitestring "):
                while line.count('"') % 2:  # a text that goes on in the next line
                    line += " " + next(lines)
                results.append((at, shlex.split(line.split(" > ")[0])))
    return results


@pytest.mark.parametrize(("at", "words"), commands(), ids=[f"{at} {' '.join(words)}" for at, words in commands()])
def test_commands_and_options_of_the_pages_exist(at: str, words: list[str]) -> None:
    command = get_command(app)
    known = {opt for param in command.params for opt in [*param.opts, *param.secondary_opts]}
    rest = global_options_first(words[1:])
    while rest and rest[0].split("=")[0] in GLOBAL_FLAGS:  # with their values
        rest = rest[1 if "=" in rest[0] else 1 + GLOBAL_FLAGS[rest[0]] :]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
        known |= {opt for param in command.params for opt in [*param.opts, *param.secondary_opts]}
    assert not hasattr(command, "commands") or not rest, f"{at}: no command {' '.join(words)}"
    if command.name not in ("manifest", "run"):
        assert not {word.split("=")[0] for word in rest if word.startswith("-")} - known - {"--help"}


def test_the_reference_of_the_command_line_is_that_of_the_commands() -> None:
    out = subprocess.run(
        [sys.executable, "-c", "import cli_reference; print(cli_reference.page(), end='')"],
        cwd=ROOT / "scripts",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert out == (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8"), (
        "run: .venv/bin/python scripts/cli_reference.py"
    )


def test_every_connector_is_in_the_index() -> None:
    index = (ROOT / "docs" / "reference" / "connectors.md").read_text("utf-8")
    missing = [
        connector.name
        for connector in registry.connectors()
        if connector.entry_point is None and f"({connector.kind}s/{connector.name}.md)" not in index
    ]
    assert not missing


def test_every_public_name_is_in_the_reference() -> None:
    import kitestring

    page = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    named = set(re.findall(r"ks\.(\w+)", page))
    assert set(kitestring.__all__) - {"__version__"} <= named
    assert named <= set(kitestring.__all__)


def test_the_python_of_the_pages_runs(tmp_path: Path) -> None:
    for page in ("docs/howto/python.md", "README.md"):
        code = "\n".join(body for at, body in blocks("python") if at.startswith(page))
        assert code
        folder = tmp_path / Path(page).stem
        folder.mkdir()
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_the_settings_of_a_page_that_are_wrong_would_be_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        registry.connector("source", "sample").build({"cuont": 5})


def test_each_picture_of_a_page_is_taken_by_a_browser_test() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "pictures.py"), "--list"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert listed == {path.name for path in (ROOT / "docs" / "images").glob("*.png")}
