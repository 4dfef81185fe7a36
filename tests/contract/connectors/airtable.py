"""Airtable keeps the contract of sources."""

from stand_ins.airtable import AirtableStandIn

from contract.manifest_source import ManifestContract


class TestAirtable(ManifestContract):
    @staticmethod
    def stand_in() -> AirtableStandIn:
        return AirtableStandIn()
