"""Zendesk Support keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.zendesk import ZendeskStandIn


class TestZendeskSupport(ManifestContract):
    @staticmethod
    def stand_in() -> ZendeskStandIn:
        return ZendeskStandIn(tickets=60, export_page=25)
