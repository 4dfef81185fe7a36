"""HubSpot keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.hubspot import HubSpotStandIn


class TestHubspot(ManifestContract):
    @staticmethod
    def stand_in() -> HubSpotStandIn:
        return HubSpotStandIn()
