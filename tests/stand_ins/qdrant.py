"""A stand-in for a Qdrant server: the part of its REST API that the destination uses, on the client's own store.

Paths, bodies and answers are those of https://api.qdrant.tech. Conditions and distances are those of the client's
store in memory (`qdrant_client.local`), which follows the server. Like the server it refuses a request above 32 MB, an
unknown collection, a vector of another size and a wrong key.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

from kitestring.testing.stand_in import Answer, Call, StandIn, route

MOST_NBYTES = 32 * 1024 * 1024


class QdrantStandIn(StandIn):
    """`api_key`: what a caller must send; None for no authentication."""

    def __init__(self, api_key: str | None = None, **options: Any) -> None:
        from qdrant_client import QdrantClient

        super().__init__(**options)
        self.api_key = api_key
        self.client = QdrantClient(":memory:")
        self.lock = threading.RLock()

    def answered(self, call: Call, name: str, answer: Callable[[Any], Any]) -> Any:
        """The result of a request on a collection, in Qdrant's envelope."""
        if self.api_key is not None and call.headers.get("api-key") != self.api_key:
            return Answer(401, b"Must provide an API key or an Authorization bearer token")
        if len(call.body) > MOST_NBYTES:
            return Answer(413, {"status": {"error": "Payload too large"}, "time": 0.0})
        with self.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name and not self.client.collection_exists(name):
                error = f"Not found: Collection `{name}` doesn't exist!"
                return Answer(404, {"status": {"error": error}, "time": 0.0})
            try:
                result = answer(call.json())
            except (ValueError, AssertionError) as error:
                return Answer(400, {"status": {"error": f"Wrong input: {error}"}, "time": 0.0})
        return {"result": result, "status": "ok", "time": 0.001}

    @route("GET", "/collections/{name}/exists")
    def exists(self, call: Call, name: str) -> Any:
        return self.answered(call, "", lambda body: {"exists": self.client.collection_exists(name)})

    @route("GET", "/collections/{name}")
    def collection(self, call: Call, name: str) -> Any:
        return self.answered(call, name, lambda body: dumped(self.client.get_collection(name)))

    @route("PUT", "/collections/{name}")
    def create(self, call: Call, name: str) -> Any:
        from qdrant_client import models

        def created(body: Any) -> bool:
            if self.client.collection_exists(name):
                raise ValueError(f"Collection `{name}` already exists!")
            return bool(
                self.client.create_collection(name, vectors_config=models.VectorParams.model_validate(body["vectors"]))
            )

        return self.answered(call, "", created)

    @route("PUT", "/collections/{name}/index")
    def index(self, call: Call, name: str) -> Any:
        return self.answered(call, name, lambda body: {"operation_id": 1, "status": "completed"})

    @route("PUT", "/collections/{name}/points")
    def upsert(self, call: Call, name: str) -> Any:
        from qdrant_client import models

        def written(body: Any) -> Any:
            points = [models.PointStruct.model_validate(point) for point in body["points"]]
            size = self.client.get_collection(name).config.params.vectors.size
            if any(len(point.vector) != size for point in points):
                raise ValueError(f"Vector dimension error: expected dim: {size}")
            return dumped(self.client.upsert(name, points))

        return self.answered(call, name, written)

    @route("POST", "/collections/{name}/points/batch")
    def batch(self, call: Call, name: str) -> Any:
        def written(body: Any) -> Any:
            for operation in body["operations"]:
                change = operation["set_payload"]
                self.client.set_payload(name, change["payload"], points=change["points"])
            return [{"operation_id": 1, "status": "completed"} for _ in body["operations"]]

        return self.answered(call, name, written)

    @route("POST", "/collections/{name}/points/delete")
    def delete(self, call: Call, name: str) -> Any:
        return self.answered(call, name, lambda body: dumped(self.client.delete(name, body["points"])))

    @route("POST", "/collections/{name}/points")
    def retrieve(self, call: Call, name: str) -> Any:
        return self.answered(
            call,
            name,
            lambda body: dumped(
                self.client.retrieve(name, body["ids"], body.get("with_payload"), body.get("with_vector", False))
            ),
        )

    @route("POST", "/collections/{name}/points/scroll")
    def scroll(self, call: Call, name: str) -> Any:
        def page(body: Any) -> Any:
            points, offset = self.client.scroll(
                name,
                scroll_filter=filter_of(body.get("filter")),
                limit=body.get("limit", 10),
                offset=body.get("offset"),
                with_payload=body.get("with_payload", True),
            )
            return {"points": dumped(points), "next_page_offset": offset}

        return self.answered(call, name, page)

    @route("POST", "/collections/{name}/points/count")
    def count(self, call: Call, name: str) -> Any:
        return self.answered(
            call, name, lambda body: dumped(self.client.count(name, filter_of(body.get("filter")), exact=True))
        )

    @route("POST", "/collections/{name}/facet")
    def facet(self, call: Call, name: str) -> Any:
        def counted(body: Any) -> Any:
            return dumped(self.client.facet(name, body["key"], limit=body.get("limit", 10), exact=True))

        return self.answered(call, name, counted)

    @route("POST", "/collections/{name}/points/query")
    def query(self, call: Call, name: str) -> Any:
        def nearest(body: Any) -> Any:
            return dumped(
                self.client.query_points(
                    name,
                    query=body["query"].get("nearest") if isinstance(body["query"], dict) else body["query"],
                    query_filter=filter_of(body.get("filter")),
                    limit=body.get("limit", 10),
                    with_payload=body.get("with_payload", False),
                )
            )

        return self.answered(call, name, nearest)


def filter_of(body: Any) -> Any:
    from qdrant_client import models

    return None if body is None else models.Filter.model_validate(body)


def dumped(result: Any) -> Any:
    if isinstance(result, list):
        return [dumped(part) for part in result]
    return result.model_dump(mode="json", exclude_none=True)
