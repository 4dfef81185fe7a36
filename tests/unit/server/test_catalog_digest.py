"""The digest by which a job sees whether its source's catalog has changed."""

from __future__ import annotations

from decimal import Decimal

from kitestring.server.child.catalog_digest import digest
from kitestring.server.child.sync import as_json


def test_a_catalog_with_any_number_has_a_digest_that_survives_json() -> None:
    bounds = {"maximum": 2**64, "multipleOf": Decimal("1e-400"), "pattern": "\ud800"}
    body = {"streams": [{"name": "users", "schema": {"properties": {"id": bounds}}}]}
    assert digest(as_json(body)) == digest(as_json(as_json(body)))
    bounds["maximum"] += 1
    assert digest(as_json(body)) != digest(as_json({"streams": [{"name": "users"}]}))


def test_the_order_of_streams_and_fields_counts_for_nothing() -> None:
    catalogs = [{"streams": [{"name": "a", "namespace": "n"}, {"name": "b"}]}]
    catalogs.append({"streams": [{"name": "b"}, {"namespace": "n", "name": "a"}]})
    assert digest(catalogs[0]) == digest(catalogs[1])
