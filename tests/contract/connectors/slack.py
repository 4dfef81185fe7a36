"""Slack keeps the contract of sources."""

from stand_ins.slack import SlackStandIn

from contract.manifest_source import ManifestContract


class TestSlack(ManifestContract):
    @staticmethod
    def stand_in() -> SlackStandIn:
        return SlackStandIn(messages=20, page=4)
