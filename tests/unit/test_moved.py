"""Old names of modules are importable for one version, and say what to write."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from kitestring.moved import MODULES, REMOVED_IN, STAND_INS


@pytest.mark.parametrize(("old", "new"), MODULES.items())
def test_an_old_name_gives_the_module_at_its_new_place_and_warns(old: str, new: str) -> None:
    sys.modules.pop(old, None)
    module = importlib.import_module(new)
    with pytest.warns(DeprecationWarning, match=re.escape(f"{old} is now {new}; the old name goes in {REMOVED_IN}")):
        assert importlib.import_module(old) is module
    assert module.__name__ == new
    assert module.__spec__ is not None
    assert module.__spec__.name == new
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.import_module(old)  # once imported, it is there


def test_no_old_name_is_that_of_a_module() -> None:
    root = Path(importlib.import_module("kitestring").__path__[0])
    for name in [*MODULES, *STAND_INS]:
        path = root.joinpath(*name.split(".")[1:])
        assert not path.is_dir()
        assert not path.with_suffix(".py").exists()


def test_the_warning_names_the_line_of_the_import(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom kitestring.sql.error import ErrorRule\nprint(ErrorRule.__module__)\n")
    command = [sys.executable, "-W", "always", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "kitestring.sql.error_rules\n"
    assert f"{script}:2: DeprecationWarning: kitestring.sql.error is now kitestring.sql.error_rules" in done.stderr


@pytest.mark.parametrize("name", sorted(STAND_INS))
def test_the_import_of_a_vendors_stand_in_says_where_it_is(name: str) -> None:
    path = f"tests/stand_ins/{name.rpartition('.')[2]}.py"
    with pytest.raises(ModuleNotFoundError, match=path):
        importlib.import_module(name)
    assert (Path(__file__).parents[2] / path).is_file()


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"kitestring\.nothing"):
        importlib.import_module("kitestring.nothing")
    assert importlib.util.find_spec("kitestring.nothing") is None


def test_the_old_names_of_the_splitter_are_in_its_package() -> None:
    split = importlib.import_module("kitestring.vector.split")
    with pytest.warns(DeprecationWarning, match=r"kitestring\.vector\.split\.splitter"):
        splitter = split.Splitter
    assert splitter is importlib.import_module("kitestring.vector.split.splitter").Splitter
