"""Asana keeps the contract of sources."""

from stand_ins.asana import AsanaStandIn

from contract.manifest_source import ManifestContract


class TestAsana(ManifestContract):
    @staticmethod
    def stand_in() -> AsanaStandIn:
        return AsanaStandIn(tasks=30)
