"""Stripe keeps the contract of sources."""

from stand_ins.stripe import StripeStandIn

from contract.manifest_source import ManifestContract


class TestStripe(ManifestContract):
    @staticmethod
    def stand_in() -> StripeStandIn:
        return StripeStandIn()
