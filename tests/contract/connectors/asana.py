"""Asana keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.asana import AsanaStandIn


class TestAsana(ManifestContract):
    @staticmethod
    def stand_in() -> AsanaStandIn:
        return AsanaStandIn(tasks=30)
