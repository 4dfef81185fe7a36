"""Jira keeps the contract of sources."""

from stand_ins.jira import JiraStandIn

from contract.manifest_source import ManifestContract


class TestJira(ManifestContract):
    @staticmethod
    def stand_in() -> JiraStandIn:
        return JiraStandIn(issues=12, page=10)
