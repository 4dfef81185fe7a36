"""Slack keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.slack import SlackStandIn


class TestSlack(ManifestContract):
    @staticmethod
    def stand_in() -> SlackStandIn:
        return SlackStandIn(messages=20, page=4)
