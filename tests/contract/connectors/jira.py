"""Jira keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.jira import JiraStandIn


class TestJira(ManifestContract):
    @staticmethod
    def stand_in() -> JiraStandIn:
        return JiraStandIn(issues=12, page=10)
