"""Discourse keeps the contract of sources."""

from stand_ins.discourse import DiscourseStandIn

from contract.manifest_source import ManifestContract


class TestDiscourse(ManifestContract):
    @staticmethod
    def stand_in() -> DiscourseStandIn:
        return DiscourseStandIn(topics=10, page=10)
