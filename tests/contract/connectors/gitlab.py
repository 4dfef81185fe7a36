"""GitLab keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.gitlab import GitLabStandIn


class TestGitlab(ManifestContract):
    @staticmethod
    def stand_in() -> GitLabStandIn:
        return GitLabStandIn(issues=10, page=4)
