"""An API that answers as a test says, and a policy without pauses, for tests of the HTTP session."""

from pathlib import Path

from kitestring.http import (
    Retries,
    Retry,
)
from kitestring.testing.stand_in import Answer, Call, StandIn, route

CERTIFICATE = Path(__file__).parent / "loopback.pem"


class Api(StandIn):
    """Answers what a test puts into `answers`, else what it was asked."""

    def __init__(self, **more):
        super().__init__(**more)
        self.answers: list[Answer] = []

    @route("GET", "/{anything}")
    @route("POST", "/{anything}")
    def any(self, call: Call, anything: str):
        if self.answers:
            return self.answers.pop(0)
        return {"path": call.path, "params": call.params, "headers": dict(call.headers), "body": call.body.decode()}


class Eager(Retries):
    """The default policy without pauses of its own: what a server asks for still counts."""

    def judge(self, attempt, response, error):
        verdict = super().judge(attempt, response, error)
        return Retry(0.0, verdict.reason) if isinstance(verdict, Retry) and verdict.after_s is None else verdict
