"""A package of somebody else with a destination and an embedder: installed from its wheel, used by its names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CODE = '''
"""Notebooks: one file of lines for each stream, each record with a vector of its name."""

import json
import os
from typing import ClassVar

from kitestring.config import option
from kitestring.destination import Destination
from kitestring.facts import Facts, Proposal
from kitestring.vector.embedders import Embedding


class Notebook(Destination):
    """Lines of JSON with vectors."""

    facts: ClassVar[Facts] = Facts(
        network="none",
        programs=False,
        packages=("numpy",),
        icon="notebook.svg",
        category="files",
        docs="https://notebook.example/docs",
        proposal=Proposal(config="# Where the lines go.\\nfile: ./notes.jsonl\\nembedding:\\n  mode: letters\\n"),
    )

    file: str = option(local_path=True)
    embedding: Embedding = option(discriminator="mode")

    def check(self):
        self.embedding.check()

    def write(self, stream, batch):
        rows = batch.rows()
        vectors = self.embedding.embed([row["name"] for row in rows])
        with open(self.file, "a") as file:
            file.writelines(
                json.dumps({"name": row["name"], "vector": vector.tolist()}) + "\\n"
                for row, vector in zip(rows, vectors, strict=True)
            )
            file.flush()
            os.fsync(file.fileno())
'''
EMBEDDER = '''
"""An embedder that needs no model."""

from typing import ClassVar, Literal

from kitestring.facts import Facts
from kitestring.vector.embedder import Embedder


class Letters(Embedder):
    """How often each letter stands in a text."""

    facts: ClassVar[Facts] = Facts(network="none", programs=False)

    mode: Literal["letters"] = "letters"

    @property
    def dimension(self):
        return 26

    @property
    def model_name(self):
        return "letters"

    def embed(self, texts):
        import numpy as np

        return np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], dtype=np.float32)
'''
ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>'
ENTRY_POINTS = """
[kitestring.destinations]
notebook = kitestring_notebook:Notebook

[kitestring.embedders]
letters = kitestring_notebook.letters:Letters
"""


def wheel(folder: Path, single_module: bool) -> Path:
    """The package as it would be downloaded, with the embedder in a module of its own or behind the destination."""
    path = folder / "kitestring_notebook-1.0-py3-none-any.whl"
    info = "kitestring_notebook-1.0.dist-info"
    files = {
        "kitestring_notebook/__init__.py": f"{CODE}\n{EMBEDDER}" if single_module else CODE,
        "kitestring_notebook/letters.py": "from kitestring_notebook import Letters" if single_module else EMBEDDER,
        "kitestring_notebook/notebook.svg": ICON,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: kitestring-notebook\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": ENTRY_POINTS.replace(".letters", "") if single_module else ENTRY_POINTS,
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def installed(tmp_path: Path, *, single_module: bool) -> dict[str, str]:
    """The environment of a process that finds the installed package."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        pytest.skip("uv is not installed")
    site = tmp_path / "site"
    command = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", sys.executable, "--target", str(site)]
    subprocess.run([*command, str(wheel(tmp_path, single_module))], check=True, capture_output=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}


def kitestring(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    return python(folder, environment, "-m", "kitestring", *arguments)


def python(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("first", ["milvus", "notebook"])
def test_the_embedders_of_another_package_are_there_whatever_is_imported_first(tmp_path: Path, first: str) -> None:
    environment = installed(tmp_path, single_module=True)
    code = f"""
from kitestring import registry
for name in ("{first}", "milvus", "notebook"):
    form = registry.connector("destination", name).spec()
    print([choice["properties"]["mode"]["const"] for choice in form["properties"]["embedding"]["oneOf"]][-1])
print(registry.destination("notebook", {{"file": "x", "embedding": {{"mode": "letters"}}}}).embedding.dimension)
"""
    assert python(tmp_path, environment, "-c", code).split() == ["letters", "letters", "letters", "26"]


def test_a_destination_and_an_embedder_of_another_package_need_no_change_here(tmp_path: Path) -> None:
    environment = installed(tmp_path, single_module=False)
    folder = tmp_path / "project"
    folder.mkdir()
    form = json.loads(kitestring(folder, environment, "spec", "notebook", "--json"))
    modes = [choice["properties"]["mode"]["const"] for choice in form["properties"]["embedding"]["oneOf"]]
    assert modes[-1] == "letters"
    kitestring(folder, environment, "init", "--source", "sample", "--destination", "notebook")
    assert "      # Where the lines go.\n" in (folder / "kitestring.yaml").read_text()
    kitestring(folder, environment, "check")
    kitestring(folder, environment, "sync")
    lines = [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]
    assert len(lines) == 1000
    assert {len(line["vector"]) for line in lines} == {26}
    assert sum(lines[0]["vector"]) == sum(letter.isalpha() and letter.isascii() for letter in lines[0]["name"])

    code = """
from pathlib import Path
from kitestring import registry
from kitestring.server.connectors import definitions
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.child.egress import EgressPolicy
notebook = definitions.of_type("destination", "notebook")
print(notebook.category, notebook.docs, notebook.searchable, notebook.icon)
# What a hardened server asks of it: all that it declares is enough, its local file is not for such a server.
made = registry.connector("destination", "notebook").build({"file": "x", "embedding": {"mode": "letters"}})
EgressPolicy().pin(made)
confined = Confinement(folder=Path("/data"))
confined.apply(made, "notebook")
print(made.file)
"""
    assert python(folder, environment, "-c", code) == f"files https://notebook.example/docs False {ICON}\n/data/x\n"
