"""Confluence keeps the contract of sources."""

from stand_ins.confluence import ConfluenceStandIn

from contract.manifest_source import ManifestContract


class TestConfluence(ManifestContract):
    @staticmethod
    def stand_in() -> ConfluenceStandIn:
        return ConfluenceStandIn(pages=12, page=6)
