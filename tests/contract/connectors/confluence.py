"""Confluence keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.confluence import ConfluenceStandIn


class TestConfluence(ManifestContract):
    @staticmethod
    def stand_in() -> ConfluenceStandIn:
        return ConfluenceStandIn(pages=12, page=6)
