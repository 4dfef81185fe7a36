"""Intercom keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.intercom import IntercomStandIn


class TestIntercom(ManifestContract):
    @staticmethod
    def stand_in() -> IntercomStandIn:
        return IntercomStandIn(conversations=60)
