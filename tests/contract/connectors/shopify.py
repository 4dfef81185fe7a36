"""Shopify keeps the contract of sources."""

from stand_ins.shopify import ShopifyStandIn

from contract.manifest_source import ManifestContract


class TestShopify(ManifestContract):
    @staticmethod
    def stand_in() -> ShopifyStandIn:
        return ShopifyStandIn()
