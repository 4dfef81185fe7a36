"""The cause of a job that a request starts: the web interface says that it is one, every other client is the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

HEADER = "X-Kitestring-Client"
INTERFACE = "interface"
"""The value of the header, and the cause of the job."""


def cause_of(request: Request) -> str:
    return INTERFACE if request.headers.get(HEADER) == INTERFACE else "api"


JobCause = Annotated[str, Depends(cause_of)]
