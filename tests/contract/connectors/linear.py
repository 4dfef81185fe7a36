"""Linear keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.linear import LinearStandIn


class TestLinear(ManifestContract):
    @staticmethod
    def stand_in() -> LinearStandIn:
        return LinearStandIn(issues=10, page=4)
