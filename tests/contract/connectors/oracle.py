"""Oracle Database keeps the contract of sources, where a database of its own is given: none can run here."""

from __future__ import annotations

from contract.given_database import GivenDatabase
from kitestring.sources.oracle import Oracle


class TestOracle(GivenDatabase):
    connector = Oracle
