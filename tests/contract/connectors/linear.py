"""Linear keeps the contract of sources."""

from stand_ins.linear import LinearStandIn

from contract.manifest_source import ManifestContract


class TestLinear(ManifestContract):
    @staticmethod
    def stand_in() -> LinearStandIn:
        return LinearStandIn(issues=10, page=4)
