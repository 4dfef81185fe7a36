"""Health. Needs no credentials."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

router = APIRouter(tags=["health"])


@router.get("/health", response_class=PlainTextResponse, operation_id="getHealthCheck")
def get_health() -> str:
    """Whether the server answers."""
    return "Successful operation"
