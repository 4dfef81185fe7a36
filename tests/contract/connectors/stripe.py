"""Stripe keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.stripe import StripeStandIn


class TestStripe(ManifestContract):
    @staticmethod
    def stand_in() -> StripeStandIn:
        return StripeStandIn()
