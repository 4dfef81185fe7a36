"""Notion keeps the contract of sources."""

from stand_ins.notion import NotionStandIn

from contract.manifest_source import ManifestContract


class TestNotion(ManifestContract):
    @staticmethod
    def stand_in() -> NotionStandIn:
        return NotionStandIn(pages=12, page=5)
