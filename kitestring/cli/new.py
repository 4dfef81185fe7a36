"""`kitestring new source | destination | embedder`: a connector that works, with its contract test and its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="""Write a new connector: the file, its contract test and its page. It works from the start.

    \b
    kitestring new source acme                       a package kitestring-acme in this folder
    kitestring new destination acme --kind vector    a vector store; also plain, sql and files
    kitestring new embedder acme

    Outside Kitestring's repository this creates a separate package with an entry point for Kitestring. Inside the
    repository it puts each file in its place. It overwrites nothing. The new connector passes its contract suite:
    change it step by step, and keep the suite green.
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)
Kind = Literal["source", "destination", "embedder"]
TEMPLATES = Path(__file__).parent / "templates"
KINDS = {
    "plain": "kitestring",
    "sql": "kitestring[duckdb]",
    "vector": "kitestring[vector]",
    "files": "kitestring[files]",
}
"""The kinds of destinations, and what a package with one needs."""
CONFIGS = {"plain": "folder: ./data", "sql": "path: ./data.duckdb", "files": "path: ./data"}
VECTOR_CONFIG = "path: ./chunks.sqlite\nembedding:\n  mode: fake"

NAME = Annotated[str, typer.Argument(help="Its name in snake_case, which is also the module's name.")]
FOLDER = Annotated[
    str, typer.Option(help="The folder for the package. Default: kitestring-NAME in this folder.", show_default=False)
]


@app.command()
def source(
    name: NAME,
    folder: FOLDER = "",
    manifest: Annotated[
        bool,
        typer.Option("--manifest", help="Write a low-code manifest (YAML) instead of Python; only in the repository."),
    ] = False,
) -> None:
    """Write a source that reads a list of an HTTP API page by page, and only what is new.

    \b
    kitestring new source acme
    kitestring new source acme --manifest     inside the repository; in a project: kitestring manifest new
    """
    template = Template("source", name, "token: ${TOKEN}", "reads the items of an HTTP API.", "kitestring")
    write(template, folder, manifest=manifest)


@app.command()
def destination(
    name: NAME,
    folder: FOLDER = "",
    kind: Annotated[str, typer.Option(help="plain, sql, vector or files.")] = "plain",
) -> None:
    """Write a destination: plain (only `write`), or based on a kit.

    \b
    kitestring new destination acme                  JSON lines, written durably
    kitestring new destination acme --kind sql       a dialect and a connection: tables, merges, replacements
    kitestring new destination acme --kind vector    a store with six verbs: chunks, vectors, search
    kitestring new destination acme --kind files     a store of files: Parquet, JSON lines, CSV
    """
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind} is not one of {', '.join(KINDS)}", param_hint="--kind")
    summary = {
        "plain": "writes JSON lines, one file for each stream.",
        "sql": "writes each stream into a table of a DuckDB file.",
        "vector": "keeps chunks with their vectors in one SQLite file.",
        "files": "writes Parquet, JSON lines or CSV, one folder for each stream.",
    }[kind]
    template = Template(
        "destination", name, CONFIGS.get(kind, VECTOR_CONFIG), summary, KINDS[kind], f"destination_{kind}"
    )
    write(template, folder)


@app.command()
def embedder(name: NAME, folder: FOLDER = "") -> None:
    """Write an embedder: texts in, vectors out. A vector destination chooses it by `embedding: {mode: NAME}`.

    \b
    kitestring new embedder acme
    """
    write(Template("embedder", name, "", "turns texts into vectors.", "kitestring[vector]"), folder)


@dataclass(frozen=True)
class Template:
    """The files of a new connector, as the templates have them."""

    kind: Kind
    name: str
    config: str
    summary: str
    requirement: str
    file: str = ""

    @property
    def class_name(self) -> str:
        return "".join(part.title() for part in self.name.split("_"))

    def text(self, template: str, module: str) -> str:
        """A template filled in, its imports in the order of the place where `module` is."""
        import string
        import textwrap

        title = self.name.replace("_", " ").title()
        dashed = self.name.replace("_", "-")
        config = f"\n    config:\n{textwrap.indent(self.config, ' ' * 6)}"
        yaml = f"{self.kind}s:\n  {self.name}:\n    connector: {self.name}{config}"
        if self.kind == "embedder":
            yaml = f"# of a vector destination\nembedding:\n  mode: {self.name}"
        text = string.Template((TEMPLATES / f"{template}.txt").read_text("utf-8")).substitute(
            {
                "Class": self.class_name,
                "title": title,
                "name": self.name,
                "dashed": dashed,
                "kind": self.kind,
                "module": module,
                "summary": f"{title} {self.summary}" if self.kind != "embedder" else f"It {self.summary}",
                "requirement": self.requirement,
                "yaml": yaml,
                "try_it": {
                    "source": f"kitestring read {self.name} items -c token=...",
                    "destination": f"kitestring spec {self.name}",
                    "embedder": "kitestring spec milvus",
                }[self.kind],
            }
        )
        return with_ordered_imports(text, module)

    def in_repository(self, root: Path, manifest: bool) -> dict[Path, str]:
        """Paths and texts inside Kitestring's repository."""
        package, docs = root / "kitestring", root / "docs" / "reference"
        file = self.file or self.kind
        if self.kind == "embedder":
            module = f"kitestring.vector.embedders.{self.name}"
            return {
                package / "vector" / "embedders" / f"{self.name}.py": self.text("embedder.py", module),
                root / "tests" / "unit" / "vector" / f"test_{self.name}.py": self.text("embedder_test.py", module),
            }
        module = f"kitestring.{self.kind}s.{self.name}"
        code = {package / f"{self.kind}s" / f"{self.name}.py": self.text(f"{file}.py", module)}
        test = self.text("manifest_test.py" if manifest else f"{file}_test.py", module)
        if manifest:
            code = {package / "sources" / "manifests" / f"{self.name}.yaml": manifest_text()}
        return {
            **code,
            root / "tests" / "contract" / "connectors" / f"{self.name}.py": test,
            docs / f"{self.kind}s" / f"{self.name}.md": self.text("connector.md", module),
        }

    def as_package(self, folder: Path) -> dict[Path, str]:
        """Paths and texts of a package of its own."""
        module = f"kitestring_{self.name}"
        file = self.file or self.kind
        return {
            folder / "pyproject.toml": self.text("pyproject.toml", module),
            folder / "README.md": self.text("README.md", module),
            folder / "src" / module / "__init__.py": self.text(f"{file}.py", module),
            folder / "src" / module / "py.typed": "",
            folder / "tests" / f"test_{self.name}.py": self.text(f"{file}_test.py", module),
        }


def manifest_text() -> str:
    """A manifest whose address is an option, so that a test can answer for the API."""
    from kitestring.declarative.builder.manifest_plan import Input, config_template
    from kitestring.declarative.builder.starter import first_plan

    plan = first_plan("https://api.example.com/items", records="items", auth="bearer", paging="page:page")
    plan.url_base = config_template(plan.add_input(Input("base_url", "Base URL", default=plan.url_base)))
    plan.streams[0].schema = {
        "type": "object",
        "additionalProperties": True,
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    }
    return plan.text()


def with_ordered_imports(text: str, module: str) -> str:
    """The imports in ruff's order: `kitestring` is first-party in its repository, third-party in another package."""
    lines = text.splitlines()
    block = [number for number, line in enumerate(lines) if line.startswith(("from kitestring", f"from {module} "))]
    if not block:
        return text
    first, end = block[0], block[-1] + 1
    imports = sorted(lines[first:end], key=lambda line: line.split()[1])
    if not module.startswith("kitestring."):
        own = [line for line in imports if line.startswith(f"from {module} ")]
        third_party = [line for line in imports if line not in own]
        before = lines[first - 2].split()[1:2]
        if before and before[0] in ("duckdb", "numpy", "pyarrow", "pydantic", "pytest"):
            first -= 1  # without the blank line between the groups
            if lines[first - 1].startswith("from "):
                first -= 1
                third_party.append(lines[first])
        imports = sorted(third_party, key=lambda line: line.split()[1]) + ["", *own] * bool(own)
    return "\n".join([*lines[:first], *imports, *lines[end:]]) + "\n"


def repository(folder: Path) -> Path | None:
    """The root of Kitestring's repository, if this folder is in it."""
    for place in (folder, *folder.parents):
        if (place / "kitestring" / "registry.py").is_file() and (place / "tests" / "contract").is_dir():
            return place
    return None


def write(template: Template, folder: str, manifest: bool = False) -> None:
    """Write the files, none where one of them exists, and say what to do next."""
    from kitestring import registry
    from kitestring.errors import ConfigError

    name, kind = template.name, template.kind
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise typer.BadParameter(f"{name} is not in snake_case: letters, digits, single underscores", param_hint="NAME")
    if kind != "embedder" and name in [connector.name for connector in registry.connectors(kind)]:
        raise ConfigError(f"there is a {kind} {name} already", hint="Choose another name.")
    root = None if folder else repository(Path.cwd())
    if manifest and root is None:
        raise ConfigError(
            "a manifest is a file of a project, not a package",
            hint=f"Write one into this project: kitestring manifest new {name} URL.",
        )
    place = Path(folder).expanduser() if folder else Path(f"kitestring-{name.replace('_', '-')}")
    files = template.in_repository(root, manifest) if root is not None else template.as_package(place)
    for path in files:
        if path.exists():
            raise ConfigError(f"{path} exists", hint="Choose another name, or remove it.")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Choose another folder.") from error
    for path in files:
        typer.echo(f"wrote {path.relative_to(root) if root is not None else path}")
    typer.echo("Next:")
    for number, step in enumerate(steps(template, root is not None, place), 1):
        typer.echo(f"  {number}. {step}")


def steps(template: Template, in_repository: bool, place: Path) -> list[str]:
    """The next steps with the files."""
    name, kind = template.name, template.kind
    if not in_repository:
        return [
            f"cd {place} && pip install -e . --group dev",
            "pytest, then change the code and keep its contract suite green",
            f"kitestring spec {name}" if kind != "embedder" else f"embedding: {{mode: {name}}} in a vector destination",
        ]
    if kind == "embedder":
        return [
            f"pytest tests/unit/vector/test_{name}.py",
            f"describe `mode: {name}` in docs/reference/embedders.md",
        ]
    return [
        f"pytest tests/contract/connectors/{name}.py, then change the code and keep its contract suite green",
        "packages it needs: an extra of its name in pyproject.toml",
        "python scripts/connector_reference.py adds it to docs/reference/connectors.md",
    ]
