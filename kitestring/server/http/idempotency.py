"""Idempotent changes: a request that comes again with the same `Idempotency-Key` gets its first answer again."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kitestring.errors import ConfigError, KitestringError
from kitestring.server.auth.access import API_PREFIXES
from kitestring.server.auth.principal import Principal
from kitestring.server.auth.request_credentials import SAFE_METHODS
from kitestring.server.clock import steady
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, ProblemResponse, problem_of
from kitestring.server.store.store import COMMITS
from kitestring.server.store.tables import idempotency_keys

HEADER = "idempotency-key"
KEEP_MS = 24 * 3600 * 1000
LEASE_MS = 30_000
"""How long a request counts as running after its process was last heard of."""
RENEW_S = 10.0
WAIT_S, POLL_S = 20.0, 0.1
"""How long a repetition waits for the first request, and how often it looks."""
MAX_ANSWER_BYTES = 1024 * 1024
FAILED = {"failed": True}
"""In place of an answer."""
KEPT_HEADERS = ("content-type", "location")
"""Cookies are never kept."""


@dataclass
class Answer:
    """The answer of a request, whole in memory. `kept` is false for an answer that is too large or never ends."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    kept: bool = True

    def as_text(self) -> str:
        headers = [(name, value) for name, value in self.headers if name in KEPT_HEADERS]
        body = base64.b64encode(self.body).decode()
        return json.dumps({"status": self.status, "headers": headers, "body": body} if self.kept else {})

    def response(self) -> Response:
        return Response(self.body, self.status, {**dict(self.headers), "Idempotency-Replayed": "true"})


class IdempotencyMiddleware:
    """Runs a change once for each key, principal and body.

    A repetition waits for the first request while that runs, then gets the same answer, for 24 hours. Another request
    with the same key is 422. A refused request (4xx, 5xx) that changed nothing leaves its key free, and so does one
    that only asks (`access.only_asks`): its answer may hold records, and is not kept. One that failed after a commit is
    not run a second time: its repetition is 409.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.keys = IdempotencyKeys(context)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope) if scope["type"] == "http" else None
        principal = getattr(request.state, "principal", None) if request else None
        if (
            request is None
            or not isinstance(principal, Principal)
            or request.method in SAFE_METHODS
            or HEADER not in request.headers
            or not scope["path"].startswith(API_PREFIXES)
        ):
            await self.app(scope, receive, send)
            return
        try:
            key = key_of(request.headers[HEADER], principal)
            body = await body_of(receive)
            digest = self.keys.digest(b"\0".join([request.method.encode(), target(scope), body]))
            first = await self.first_answer(key, digest)
        except Problem as problem:
            await ProblemResponse(problem)(scope, receive, send)
        except KitestringError as error:
            await ProblemResponse(problem_of(error))(scope, receive, send)
        else:
            if first is not None:
                await first.response()(scope, receive, send)
            else:
                await self.run(key, scope, replayed(body, receive), send)

    async def first_answer(self, key: str, digest: str) -> Answer | None:
        """The answer of the first request with this key; None if this is the first, which the store now knows."""
        until = steady() + WAIT_S
        while True:
            try:
                return await run_in_threadpool(self.keys.claim, key, digest)
            except RunningError:
                if steady() > until:
                    raise Problem(
                        409,
                        "the first request with this Idempotency-Key has not ended",
                        hint="Send it again in a moment, with the same key.",
                        headers={"Retry-After": "5"},
                    ) from None
            await asyncio.sleep(POLL_S)

    async def run(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and keep its answer before the client gets it."""
        answer = Answer()
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            if not answer.kept:
                await send(message)
                return
            messages.append(message)
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                headers = message["headers"]
                answer.headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in headers]
                endless = "text/event-stream" in dict(answer.headers).get("content-type", "")
            else:
                answer.body += message.get("body", b"")
                endless = False
            if endless or len(answer.body) > MAX_ANSWER_BYTES:
                answer.kept, answer.body = False, b""
                for waiting in messages:
                    await send(waiting)
                messages.clear()

        commits: list[str] = []
        try:
            async with self.renewed(key):
                token = COMMITS.set(commits)  # after the task that renews the key, which commits too
                try:
                    await self.app(scope, receive, collect)
                finally:
                    COMMITS.reset(token)
        except Exception:  # not a cancellation: the handler's thread may go on and commit
            await run_in_threadpool(self.keys.fail if commits else self.keys.release, key)
            raise
        asks = getattr(Request(scope).state, "only_asks", False)
        if 200 <= answer.status < 400 and not asks:
            await run_in_threadpool(self.keys.keep, key, answer)
        else:
            await run_in_threadpool(self.keys.fail if commits and not asks else self.keys.release, key)
        for message in messages:
            await send(message)

    @contextlib.asynccontextmanager
    async def renewed(self, key: str) -> AsyncIterator[None]:
        """Tell the store from time to time that the request still runs."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_S)
                await run_in_threadpool(self.keys.renew, key)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, KitestringError):
                await task


class RunningError(Exception):
    """The first request with this key runs, here or in another process."""


class IdempotencyKeys:
    """The keys of the last 24 hours in the store: a keyed digest of each request, and its answer, sealed."""

    def __init__(self, context: Context) -> None:
        self.store, self.secret_box = context.store, context.secret_box

    def digest(self, request: bytes) -> str:
        """A digest that distinguishes two requests and reveals nothing of their bodies."""
        return self.secret_box.digest(request)

    def claim(self, key: str, digest: str) -> Answer | None:
        """The kept answer; None where the key is new, and now this request's. `RunningError` while the first runs."""
        with self.store.write() as db:
            now = self.store.now_ms(db)
            mine = idempotency_keys.c.key_hash == key
            db.execute(delete(idempotency_keys).where(mine, idempotency_keys.c.expires_at_ms < now))
            values = {"request_digest": digest, "running_until_ms": now + LEASE_MS, "expires_at_ms": now + KEEP_MS}
            row = db.execute(select(idempotency_keys).where(mine)).one_or_none()
            if row is None:
                self._insert(db, key, values)
                return None
        if row.request_digest.partition(":")[0] != digest.partition(":")[0]:
            raise lost("this Idempotency-Key was used before the server's secret key changed")
        if row.request_digest != digest:
            raise Problem(
                422,
                "this Idempotency-Key was used for another request",
                hint="Send a new key with each new request; repeat a request unchanged.",
            )
        if row.answer is None:
            if row.running_until_ms >= now:
                raise RunningError
            raise lost("the server stopped while the first request with this Idempotency-Key ran")
        try:
            kept = json.loads(self.secret_box.open(row.answer, key))
        except ConfigError:
            raise lost("the answer to this Idempotency-Key was encrypted with a key that the server lost") from None
        if kept == FAILED:
            raise lost("the first request with this Idempotency-Key failed after it had changed something")
        if not kept:
            raise lost("the first request with this Idempotency-Key succeeded, its answer was too large to keep")
        headers = [(str(name), str(value)) for name, value in kept["headers"]]
        return Answer(kept["status"], headers, base64.b64decode(kept["body"]))

    def _insert(self, db: Connection, key: str, values: dict[str, object]) -> None:
        try:
            with db.begin_nested():
                db.execute(idempotency_keys.insert().values(key_hash=key, **values))
        except IntegrityError:
            raise RunningError from None

    def renew(self, key: str) -> None:
        """The request still runs."""
        with self.store.write() as db:
            values = {"running_until_ms": self.store.now_ms(db) + LEASE_MS}
            db.execute(update(idempotency_keys).where(idempotency_keys.c.key_hash == key).values(values))

    def keep(self, key: str, answer: Answer) -> None:
        """The request has succeeded."""
        sealed = self.secret_box.seal(answer.as_text(), key)
        with self.store.write() as db:
            db.execute(update(idempotency_keys).where(idempotency_keys.c.key_hash == key).values(answer=sealed))

    def fail(self, key: str) -> None:
        """The request has failed, and may have changed something."""
        sealed = self.secret_box.seal(json.dumps(FAILED), key)
        with self.store.write() as db:
            db.execute(update(idempotency_keys).where(idempotency_keys.c.key_hash == key).values(answer=sealed))

    def release(self, key: str) -> None:
        """The request changed nothing: the key is free."""
        with self.store.write() as db:
            db.execute(delete(idempotency_keys).where(idempotency_keys.c.key_hash == key))


def lost(detail: str) -> Problem:
    """409: whether the first request changed something is for the client to look up."""
    return Problem(409, detail, hint="List the resources to see what exists, then send a new key.")


def key_of(header: str, principal: Principal) -> str:
    """The name of a key in the store: one principal's keys are never another's."""
    if not 0 < len(header) <= 255 or not header.isascii() or not header.isprintable():
        raise Problem(
            400, "the Idempotency-Key does not have 1 to 255 printable ASCII characters", hint="Send a random UUID."
        )
    owner = principal.user_id or f"\0{principal.name}"
    return hashlib.sha256(f"{owner}\0{header}".encode()).hexdigest()


def target(scope: Scope) -> bytes:
    """The address of a request, with its query."""
    return bytes(scope["path"].encode() + b"?" + scope.get("query_string", b""))


async def body_of(receive: Receive) -> bytes:
    """The whole body; `BodyLimitMiddleware` has bounded it. `Problem` where the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(400, "the body of the request ended early", hint="Send it again.")
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that begins with this body."""
    first = True

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay
