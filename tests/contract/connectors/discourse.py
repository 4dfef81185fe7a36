"""Discourse keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.discourse import DiscourseStandIn


class TestDiscourse(ManifestContract):
    @staticmethod
    def stand_in() -> DiscourseStandIn:
        return DiscourseStandIn(topics=10, page=10)
