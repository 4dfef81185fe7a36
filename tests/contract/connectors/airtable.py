"""Airtable keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.airtable import AirtableStandIn


class TestAirtable(ManifestContract):
    @staticmethod
    def stand_in() -> AirtableStandIn:
        return AirtableStandIn()
