"""The bill: what is not known is not shown as free."""

from __future__ import annotations

from kitestring.vector.usage import Usage


def test_a_model_without_a_known_price_has_no_cost_and_a_free_one_costs_nothing() -> None:
    assert "cost_usd" not in Usage(None, tokens=1000).figures()
    assert Usage(0.0, tokens=1000).figures()["cost_usd"] == 0.0
    assert Usage(0.02, tokens=1_000_000).figures()["cost_usd"] == 0.02
