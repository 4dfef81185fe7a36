"""Freshdesk keeps the contract of sources."""

from stand_ins.freshdesk import FreshdeskStandIn

from contract.manifest_source import ManifestContract


class TestFreshdesk(ManifestContract):
    @staticmethod
    def stand_in() -> FreshdeskStandIn:
        return FreshdeskStandIn(tickets=60)
