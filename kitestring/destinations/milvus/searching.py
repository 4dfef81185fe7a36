"""Searches of a Milvus collection: by meaning, or by meaning and words, without records marked as deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.destinations.milvus.layout import Layout
from kitestring.vector import payload
from kitestring.vector.store import MARKED

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from kitestring.vector.store import Vector

MARK = f'_ks_metadata_digest like "{MARKED}%"'
"""The filter that only chunks of marked records pass."""

INTERNAL = ("_ks_key", "_ks_digest", "_ks_metadata_digest", "_ks_namespace", "$meta")
"""Internal fields that are not part of a hit."""


class Search:
    """One search. `hybrid`: by words too."""

    def __init__(self, client: MilvusClient, layout: Layout, timeout: float | None, hybrid: bool) -> None:
        self.client = client
        self.layout = layout
        self.timeout = timeout
        self.hybrid = hybrid

    def nearest(
        self,
        vector: Vector,
        text: str,
        conditions: Sequence[str],
        limit: int,
        threshold: float | None,
        include_deleted: bool,
    ) -> list[dict[str, Any]]:
        """The nearest chunks, best first, as `Store.search` returns them."""
        filters = [f"({part})" for part in conditions if part]
        hits = self._hits(vector, text, filters, limit)
        live = hits if include_deleted else [hit for hit in hits if not is_marked(hit)]
        if len(live) < len(hits) == limit and self.layout.stores_digests:
            # Marked records are rare: only if they displaced other hits, search again with a filter.
            hits = self._hits(vector, text, [*filters, f"not ({MARK})"], limit)
            live = [hit for hit in hits if not is_marked(hit)]
        if threshold is not None and not self.hybrid:
            # In L2 a smaller number is nearer, in COSINE and IP a greater one.
            sign = 1 if self.layout.metric == "L2" else -1
            live = [hit for hit in live if sign * hit["distance"] <= sign * threshold]
        return [hit_of(self.layout, hit) for hit in live]

    def _hits(self, vector: Vector, text: str, filters: Sequence[str], limit: int) -> list[Mapping[str, Any]]:
        layout, condition = self.layout, " and ".join(filters)
        fields = ["*"] if layout.dynamic else list(layout.fields)
        if self.hybrid:
            return list(self._by_meaning_and_words(vector, text, condition, limit, fields))
        hits = self.client.search(
            layout.collection,
            data=[vector.tolist()],
            anns_field=layout.vector.name,
            filter=condition,
            limit=limit,
            output_fields=fields,
            search_params={"metric_type": layout.metric},
            consistency_level="Strong",
            timeout=self.timeout,
        )
        return list(hits[0])

    def _by_meaning_and_words(self, vector: Vector, text: str, condition: str, limit: int, fields: list[str]) -> Any:
        """Both searches, merged by rank."""
        from pymilvus import AnnSearchRequest, RRFRanker

        layout, expression = self.layout, condition or None
        requests = [
            AnnSearchRequest([vector.tolist()], layout.vector.name, {"metric_type": layout.metric}, limit, expression),
            AnnSearchRequest([text], layout.sparse, {"metric_type": "BM25"}, limit, expression),
        ]
        return self.client.hybrid_search(
            layout.collection,
            requests,
            RRFRanker(),
            limit=limit,
            output_fields=fields,
            consistency_level="Strong",
            timeout=self.timeout,
        )[0]


def hit_of(layout: Layout, hit: Mapping[str, Any]) -> dict[str, Any]:
    """A row in the form of hits."""
    entity = dict(hit["entity"])
    row_id = entity.pop(layout.primary.name, hit.get("id", hit.get(layout.primary.name)))
    for name in (layout.vector.name, layout.sparse, *INTERNAL):
        entity.pop(name, None)
    text = entity.pop(layout.text, None) if layout.text else None
    return payload.hit(row_id, hit["distance"], text, entity)


def is_marked(hit: Mapping[str, Any]) -> bool:
    return str(hit["entity"].get("_ks_metadata_digest") or "").startswith(MARKED)
