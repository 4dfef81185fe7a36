"""A source that a test holds in its hand: pages of records that hang, refuse, or say how long to wait."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from kitestring.testing.stand_in import Answer, Call, StandIn, route

MANIFEST = """
version: 6.48.10
type: DeclarativeSource
check: {type: CheckStream, stream_names: [items]}
BUDGET
streams:
  - type: DeclarativeStream
    name: items
    primary_key: id
    schema_loader:
      type: InlineSchemaLoader
      schema: {type: object, properties: {id: {type: integer}, at: {type: string}}}
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "{{ config['url'] }}", path: /items, http_method: GET}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [items]}}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
        pagination_strategy: {type: PageIncrement, page_size: 10, start_from_page: 0, inject_on_first_request: true}
spec:
  type: Spec
  connection_specification:
    type: object
    properties: {url: {type: string}, token: {type: string, airbyte_secret: true}}
"""
BUDGET = """
api_budget:
  type: HTTPAPIBudget
  policies:
    - type: MovingWindowCallRatePolicy
      rates: [{type: Rate, limit: CALLS, interval: SECONDS}]
      matchers: []
"""


class Pages(StandIn):
    """Ten records a page. `hang`: where it says nothing more, `times` times; `refusal`: what it says instead
    of a page."""

    hang = -1
    times = 1
    last = 3
    refusal: Answer | None = None

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.released = threading.Event()

    @route("GET", "/items")
    def items(self, call: Call) -> Any:
        page = int(call.param("page", "0"))
        if page == self.hang and self.times > 0:
            self.times -= 1
            self.released.wait(600)
        if self.refusal is not None:
            return self.refusal
        count = 10 if page < self.last else 0
        day = f"2024-01-{page % 28 + 1:02}"
        return {"items": [{"id": page * 10 + n, "at": day} for n in range(count)]}

    def close(self) -> None:
        self.released.set()
        super().close()

    def manifest(self, folder: Path, calls: int = 0, per: str = "PT1M") -> str:
        """The path of a manifest of this source, with a budget of its calls where one is given."""
        budget = BUDGET.replace("CALLS", str(calls)).replace("SECONDS", per) if calls else ""
        path = folder / "pages.yaml"
        path.write_text(MANIFEST.replace("BUDGET", budget))
        return str(path)
