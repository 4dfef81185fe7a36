"""HubSpot keeps the contract of sources."""

from stand_ins.hubspot import HubSpotStandIn

from contract.manifest_source import ManifestContract


class TestHubspot(ManifestContract):
    @staticmethod
    def stand_in() -> HubSpotStandIn:
        return HubSpotStandIn()
