"""Freshdesk keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.freshdesk import FreshdeskStandIn


class TestFreshdesk(ManifestContract):
    @staticmethod
    def stand_in() -> FreshdeskStandIn:
        return FreshdeskStandIn(tickets=60)
