"""The shape of the house: layers, names, sizes, modules loaded. What `lint-imports` checks is in pyproject.toml."""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import kitestring
from scripts import connector_reference, house_words, module_map

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kitestring"


def below(folder: Path) -> Iterator[Path]:
    """Its files and folders, without what is installed or built: `node_modules` has some ten thousand files."""
    for path in folder.iterdir():
        if path.name in ("node_modules", "dist", "__pycache__"):
            continue
        yield path
        if path.is_dir():
            yield from below(path)


OURS = sorted(below(PACKAGE))
MODULES = [path for path in OURS if path.suffix == ".py"]
FORBIDDEN = {"utils", "util", "common", "helpers", "helper", "base", "core", "manager", "misc"}
HEAVY = {
    *("pyarrow", "numpy", "pandas", "duckdb", "pymilvus", "jinja2", "urllib3", "yaml", "rich", "orjson"),
    *("pydantic", "fsspec", "onnxruntime", "tokenizers", "adbc_driver_postgresql", "semantic_text_splitter"),
}
MOST_LINES = 600


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Which module imports which: when modules are loaded, when functions run, and for type checkers alone."""
    import grimp

    graph = grimp.build_graph("kitestring", exclude_type_checking_imports=False, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [str(path) for path in OURS if path.stem in FORBIDDEN]
    assert not named


REPEATED = {
    "source": "the contract, and each family of sources",
    "destination": "the contract, and each family of destinations",
    "store": "the store of the server, of vectors, of files",
    "connection": "HTTP, SQL, and a connection of Airbyte",
    "manifest": "the language, and its commands",
    "replay": "the engine's, and its command",
    "state": "the engine's, and its command",
    "sync": "the loop, the job that runs it, and its command",
    "types": "the contract's, and those of SQL columns",
    "merge": "of files, and of SQL tables",
}
"""File names that occur more than once in the package, and why. Files of connectors and resources bear their names."""


def test_a_file_name_stands_once() -> None:
    named_by_others = {PACKAGE / "sources", PACKAGE / "destinations", PACKAGE / "vendors", PACKAGE / "server" / "api"}
    names = Counter(
        path.stem for path in MODULES if path.name != "__init__.py" and not named_by_others & set(path.parents)
    )
    assert len(REPEATED) <= 10
    assert {name for name, count in names.items() if count > 1} == set(REPEATED)


@pytest.fixture(scope="module")
def names() -> dict[Path, list[tuple[str, int]]]:
    """The names in each module, with their lines."""
    return {path: list(house_words.names_in(path)) for path in MODULES}


def test_names_are_the_terms_of_the_field(names: dict[Path, list[tuple[str, int]]]) -> None:
    released = PACKAGE / "server" / "store" / "migrations" / "versions"
    banned = sorted(
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, lines in names.items()
        if released not in path.parents
        for name, line in lines
        if house_words.is_banned(name)
    )
    assert banned == []


def test_file_names_are_the_terms_of_the_field() -> None:
    ours = [path.relative_to(ROOT) for path in OURS if "versions" not in path.parts]
    assert [str(path) for path in ours if house_words.is_banned(path.stem)] == []


def test_the_share_of_house_words_is_below_half_a_percent(names: dict[Path, list[tuple[str, int]]]) -> None:
    references = Counter(name for lines in names.values() for name, _ in lines)
    house = sum(count for name, count in references.items() if house_words.is_house_word(name))
    assert house < 0.005 * references.total()


def test_no_file_outgrows_its_noun() -> None:
    long = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert not {name: lines for name, lines in long.items() if lines > MOST_LINES}


def test_every_module_says_what_it_is_for() -> None:
    silent = [name_of(path) for path in MODULES if not module_map.docstring(path)]
    assert not silent


def test_no_modules_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    state: dict[str, int] = {}
    circles: list[list[str]] = []

    def visit(module: str, way: list[str]) -> None:
        state[module] = 1
        for other in sorted(imports.get(module, ())):
            if other == "kitestring":  # the public names, imported on use
                continue
            if state.get(other) == 1:
                circles.append([*way[way.index(other) :], other])
            elif other not in state:
                visit(other, [*way, other])
        state[module] = 2

    for module in sorted(imports):
        if module not in state and module != "kitestring":
            visit(module, [module])
    assert not circles


def test_the_engine_never_imports_a_connector_by_name(imports: dict[str, set[str]]) -> None:
    wrong = {
        (module, other)
        for module, rest in imports.items()
        for other in rest
        if module.startswith(("kitestring.engine", "kitestring.registry", "kitestring.library", "kitestring.project"))
        and other.startswith(("kitestring.sources.", "kitestring.destinations."))
    }
    assert not wrong


def test_public_names_can_be_imported_and_are_all_listed() -> None:
    for name in kitestring.__all__:
        assert getattr(kitestring, name) is not None
    assert sorted(set(kitestring.__all__)) == kitestring.__all__
    assert dir(kitestring) == sorted(kitestring.__all__)
    listed = set(kitestring.__all__) - {"__version__"}
    for_checkers = {
        alias.name
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kitestring.")
        for alias in node.names
    }
    assert for_checkers == listed
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        kitestring.nonsense  # noqa: B018


def test_source_and_destination_are_functions_whoever_imports_the_files() -> None:
    code = (
        "import kitestring as ks, kitestring.source, kitestring.destination\n"
        "from kitestring.source import Source\n"
        "assert callable(ks.source) and callable(ks.destination) and ks.Source is Source"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("code", ["import kitestring", "import kitestring.cli.command_line"])
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"{code}, sys; print(*sys.modules)"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not HEAVY & {module.split(".")[0] for module in loaded}


LOADED = (
    "import runpy, sys\n"
    "before = set(sys.modules)\n"
    "try:\n    {code}\n"
    "except SystemExit: pass\n"
    "print(len(set(sys.modules) - before), file=sys.stderr)"
)
"""Counts the modules that a piece of code loads: unlike its time, the same on a busy machine."""


@pytest.mark.parametrize(
    ("code", "most_modules"),
    [
        ("import kitestring", 60),
        ("sys.argv = ['kitestring', '--help']; runpy.run_module('kitestring', run_name='__main__')", 220),
        ("sys.argv = ['kitestring', 'sync', '--help']; runpy.run_module('kitestring', run_name='__main__')", 220),
    ],
    ids=["import", "help", "sync-help"],
)
def test_the_library_and_the_help_load_few_modules(code: str, most_modules: int) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED.format(code=code)], check=True, capture_output=True, text=True)
    assert "import kitestring" in code or "kitestring sync" in done.stdout
    assert int(done.stderr) <= most_modules


def tracked() -> list[Path]:
    """The files of the repository; without git (a source archive), the text files of the known folders."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [path for folder in ("kitestring", "tests", "docs") for path in (ROOT / folder).rglob("*.*")]
    return [ROOT / name for name in listed.decode().split("\0") if name]


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    places = re.compile(rb"(?<![\w./~$-])/(?:work|root|home/[a-z]\w*)/[\w.-]+")
    results = []
    for path in tracked():
        if not path.is_file() or path.suffix in (".png", ".lock", ".bin", ".gz", ".parquet"):
            continue
        results.extend(f"{path.relative_to(ROOT)}: {m.group().decode()}" for m in places.finditer(path.read_bytes()))
    assert not results


def test_every_connector_has_a_page_in_the_docs() -> None:
    from kitestring import registry

    missing = [
        f"{connector.kind} {connector.name}"
        for connector in registry.connectors()
        if connector.entry_point is None
        and not (ROOT / "docs" / "reference" / f"{connector.kind}s" / f"{connector.name}.md").is_file()
    ]
    assert not missing


def test_no_two_test_files_share_a_name() -> None:
    """Pytest imports them by their name alone, apart from those in packages, and refuses the second."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py") if not (path.parent / "__init__.py").exists()]
    assert not {name for name in names if names.count(name) > 1}


def test_the_files_of_tests_that_run_first_are_there(pytestconfig: pytest.Config) -> None:
    [conftest] = [
        plugin
        for plugin in pytestconfig.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", None) == str(ROOT / "tests" / "conftest.py")
    ]
    assert not [name for name in conftest.LONGEST if not (ROOT / "tests" / name).is_file()]


ORDINARY = frozenset({"airbyte", "files", "linear", "notion", "sample", "singer", "sql"})
"""Names of connectors that are words too: they count only where a text is the name and nothing else."""

STORE = "the server's own store is kept by SQLite or PostgreSQL"
NAMES_ALLOWED: dict[str, tuple[str, str]] = {
    "kitestring.airbyte.*": ("*", "the part of the program that speaks Airbyte's protocol, and its catalog"),
    "kitestring.cli": ("airbyte", "a group of commands has the name"),
    "kitestring.cli.airbyte": ("*", "its help shows examples; a group of commands has the name"),
    "kitestring.cli.command_line": ("*", "the help shows examples; a group of commands has the name"),
    "kitestring.cli.demo": ("*", "the demo is one source and one destination"),
    "kitestring.cli.init": ("*", "what it takes where no connectors are asked for, and examples in its help"),
    "kitestring.cli.new": ("*", "what its templates are made of, and examples in its help"),
    "kitestring.cli.server": ("postgres sqlite", STORE),
    "kitestring.cli.store": ("postgres sqlite", STORE),
    "kitestring.cli.sync": ("sqlite", "states are kept in a file of SQLite"),
    "kitestring.moved": ("*", "stand-ins of vendors that left the package, by their old names"),
    "kitestring.declarative.macro": ("delta", "a number of days"),
    "kitestring.lake.lake_connection": ("duckdb", "tables of a lake are merged by DuckDB in memory"),
    "kitestring.lake.memory_database": ("duckdb", "tables of a lake are merged by DuckDB in memory"),
    "kitestring.sql.duckdb_dialect": ("duckdb", "tables of a lake are merged by DuckDB in memory"),
    "kitestring.library": ("sqlite", "states are kept in a file of SQLite"),
    "kitestring.engine": ("sqlite", "states are kept in a file of SQLite"),
    "kitestring.declarative.source": ("files", "a value of a manifest's setting, no connector"),
    "kitestring.declarative.stream": ("files", "a value of a manifest's setting, no connector"),
    "kitestring.retrieval.model_stream": ("delta", "a field of the events of language models"),
    "kitestring.server.api.airbyte_config.definitions": ("files", "a category"),
    "kitestring.server.api.airbyte_config.workspaces": ("airbyte", "a value of Airbyte's API"),
    "kitestring.server.api.kitestring.connections": ("sample", "an argument: how many records an estimate reads"),
    "kitestring.server.api.kitestring.responses": ("sqlite", STORE),
    "kitestring.server.api.kitestring.server": ("postgres sqlite", STORE),
    "kitestring.server.child.actions": ("sample", "an argument: how many records an estimate reads"),
    "kitestring.server.child.preload": ("airbyte files sql", "packages of the core"),
    "kitestring.server.settings": ("postgres sqlite", STORE),
    "kitestring.server.store.*": ("postgres sqlite", STORE),
    "kitestring.server.observability.totals": ("sqlite", STORE),
}
"""Modules of the core that may name connectors, which ones, and why."""


def connector_names() -> set[str]:
    from kitestring import registry

    return {connector.name for connector in registry.connectors() if connector.entry_point is None}


def core() -> list[Path]:
    leaves = {PACKAGE / name for name in ("sources", "destinations", "vendors", "testing")}
    return [path for path in MODULES if not leaves & set(path.parents)]


def named_in(path: Path, names: set[str]) -> set[str]:
    """The connectors that a module names in its texts, docstrings apart, and imports."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    silent = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    named: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            text = node.value.replace("https://github.com/kitestring", "").lower().replace("-", "_")
            bare = text.removeprefix("source_").removeprefix("destination_")
            named |= {bare} & names
            words = set(re.findall(r"[a-z0-9_]+", text))
            words |= {part for word in words for part in word.split("_")} | {word.removeprefix("py") for word in words}
            named |= (names - ORDINARY) & words
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if modules[0] in ("kitestring.sources", "kitestring.destinations") and isinstance(node, ast.ImportFrom):
                modules = [f"{modules[0]}.{alias.name}" for alias in node.names]
            named |= {m for m in modules if m.startswith(("kitestring.sources.", "kitestring.destinations."))}
    return named


def allowed(module: str, name: str) -> bool:
    return any(
        fnmatch.fnmatchcase(module, pattern) and (names == "*" or name in names.split())
        for pattern, (names, _) in NAMES_ALLOWED.items()
    )


def test_no_module_of_the_core_names_a_connector() -> None:
    names = connector_names()
    named = {(name_of(path), name) for path in core() for name in named_in(path, names)}
    assert sorted(pair for pair in named if not allowed(*pair)) == []


def test_the_web_interface_names_no_connector() -> None:
    """Apart from what a page says in a sentence, which is no decision."""
    names = {name.replace("_", "[_-]") for name in connector_names() - ORDINARY}
    quoted = re.compile(rf"['\"`](?:source-|destination-)?({'|'.join(sorted(names))})['\"`]", re.IGNORECASE)
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (PACKAGE / "ui" / "src").rglob("*.ts*")
        if not path.name.endswith(".gen.ts")  # written from the OpenAPI document
        for line in path.read_text("utf-8").splitlines()
        if quoted.search(line) and "data.store" not in line  # the server's own store
    ]
    assert lines == []


HOUSE_WORDS = {"one", "found", "told", "made", "given", "said", "here", "asked", "shown", "wanted", "gone", "again"}
DECLARATIONS = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"\b(?:const|let|type|interface|function\*?)\s+(\w+)",
        r"\b(?:const|let)\s*[\[{]([^=;]*?)[\]}]\s*(?:=|of\b)",
        r"\bfunction\*?\s+\w+(?:<[^(]*>)?\(([^)]*)\)",
        r"\(([^()]*)\)\s*(?::[^=()]+)?=>",
        r"\bcatch\s*\((\w+)\)",
    )
]
"""Names of variables, destructured variables, functions, types and parameters in TypeScript."""


def test_names_in_the_web_interface_are_nouns_and_verbs() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((PACKAGE / "ui" / "src").rglob("*.ts*"))
        if not path.name.endswith(".gen.ts")
        for pattern in DECLARATIONS
        for declared in pattern.findall(path.read_text("utf-8"))
        for name in re.findall(r"\w+", re.sub(r"'[^']*'", "", declared))
        if name.lower() in HOUSE_WORDS
    ]
    assert named == []


def test_every_connector_declares_what_it_is() -> None:
    from kitestring import registry
    from kitestring.vector import embedders

    for connector in registry.connectors():
        facts = connector.facts()
        left_out = [name for name in ("network", "programs") if getattr(facts, name) is None]
        left_out += [name for name in ("title", "category", "summary") if not getattr(facts, name)]
        assert not left_out, f"{connector.kind} {connector.name}"
    for embedder in embedders.embedder_classes():
        assert (embedder.facts.network, embedder.facts.programs) != (None, None), embedder.__name__


def test_the_tables_of_connectors_are_what_the_connectors_declare() -> None:
    text = connector_reference.PAGE.read_text("utf-8")
    assert text == connector_reference.written(text), "run: .venv/bin/python scripts/connector_reference.py"


def test_the_map_of_the_modules_is_what_their_docstrings_say() -> None:
    text = module_map.PAGE.read_text("utf-8")
    assert text == module_map.written(text), "run: .venv/bin/python scripts/module_map.py"
