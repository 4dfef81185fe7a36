"""Intercom keeps the contract of sources."""

from stand_ins.intercom import IntercomStandIn

from contract.manifest_source import ManifestContract


class TestIntercom(ManifestContract):
    @staticmethod
    def stand_in() -> IntercomStandIn:
        return IntercomStandIn(conversations=60)
