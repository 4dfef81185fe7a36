"""Notion keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.notion import NotionStandIn


class TestNotion(ManifestContract):
    @staticmethod
    def stand_in() -> NotionStandIn:
        return NotionStandIn(pages=12, page=5)
