"""GitLab keeps the contract of sources."""

from stand_ins.gitlab import GitLabStandIn

from contract.manifest_source import ManifestContract


class TestGitlab(ManifestContract):
    @staticmethod
    def stand_in() -> GitLabStandIn:
        return GitLabStandIn(issues=10, page=4)
