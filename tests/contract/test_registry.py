"""Every connector of the registry has its contract class."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from kitestring import registry
from kitestring.files.destination import FilesDestination
from kitestring.sql.destination import SqlDestination
from kitestring.testing.contract import (
    DestinationContract,
    FilesContract,
    Gaps,
    SourceContract,
    SqlContract,
    VectorContract,
)
from kitestring.vector.destination import VectorDestination

FOLDER = Path(__file__).parent / "connectors"
OURS = [connector for connector in registry.connectors() if connector.entry_point is None]


@pytest.mark.parametrize("connector", OURS, ids=lambda connector: f"{connector.kind}-{connector.name}")
def test_every_connector_has_a_class_that_runs_the_contract_on_it(connector: registry.Connector) -> None:
    assert (FOLDER / f"{connector.name}.py").exists(), f"tests/contract/connectors/{connector.name}.py is missing"
    module = importlib.import_module(f"contract.connectors.{connector.name}")
    classes = [value for name, value in vars(module).items() if inspect.isclass(value) and name.startswith("Test")]
    contracts = [SourceContract] if connector.kind == "source" else contracts_of(connector)
    for contract in contracts:
        assert any(issubclass(value, contract) for value in classes), f"no {contract.__name__} in {module.__name__}"


def contracts_of(destination: registry.Connector) -> list[type[Gaps]]:
    """That of all destinations, and that of the family."""
    class_ = destination.load()
    families: dict[type, type[Gaps]] = {
        SqlDestination: SqlContract,
        VectorDestination: VectorContract,
        FilesDestination: FilesContract,
    }
    return [DestinationContract, *(suite for family, suite in families.items() if issubclass(class_, family))]


def test_every_file_is_of_a_connector_that_exists() -> None:
    names = {path.stem for path in FOLDER.glob("[!_]*.py")}
    assert names == {connector.name for connector in OURS}


def test_every_gap_is_of_a_case_that_the_class_runs_and_has_a_reason() -> None:
    for path in FOLDER.glob("[!_]*.py"):
        module = importlib.import_module(f"contract.connectors.{path.stem}")
        for name, value in vars(module).items():
            if name.startswith("Test") and issubclass(value, Gaps):
                assert all(hasattr(value, case) and len(reason) > 20 for case, reason in value.gaps.items()), name


def test_the_table_of_gaps_names_every_connector() -> None:
    script = Path(__file__).parents[2] / "scripts" / "contract_gaps.py"
    stdout = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert all(f"| {connector.name} |" in stdout for connector in OURS)
