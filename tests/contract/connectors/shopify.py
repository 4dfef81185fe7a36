"""Shopify keeps the contract of sources."""

from contract.manifest_source import ManifestContract
from kitestring.testing.shopify import ShopifyStandIn


class TestShopify(ManifestContract):
    @staticmethod
    def stand_in() -> ShopifyStandIn:
        return ShopifyStandIn()
