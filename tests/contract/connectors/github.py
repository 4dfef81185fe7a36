"""GitHub keeps the contract of sources."""

from stand_ins.github import GitHubStandIn

from contract.manifest_source import ManifestContract


class TestGithub(ManifestContract):
    @staticmethod
    def stand_in() -> GitHubStandIn:
        server = GitHubStandIn()
        for repository in server.repositories.values():
            repository.run_count = 5  # each costs a call for its jobs
        return server
