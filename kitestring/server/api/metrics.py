"""`/metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from kitestring.server.auth.access import Reader

router = APIRouter(tags=["metrics"])


@router.get("/metrics", operation_id="getMetrics", response_class=Response)
def get_metrics(caller: Reader, request: Request) -> Response:
    """Metrics in Prometheus' text format. If users are configured, any role is needed."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
