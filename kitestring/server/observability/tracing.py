"""Traces through OpenTelemetry, an extra: a span for each request and for each attempt of a job.

They are on where `OTEL_EXPORTER_OTLP_ENDPOINT` is set, and go where OpenTelemetry's own variables say
(opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables). Off, nothing of it is imported.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from kitestring import __version__
from kitestring.errors import ConfigError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing:
    """Makes spans, or none where tracing is off. `close` sends what waits."""

    def __init__(self, provider: Any = None) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("kitestring", __version__) if provider is not None else None

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Tracing:
        """On where the environment names an endpoint. `ConfigError` where the packages for it are missing."""
        if not any(environment.get(name) for name in ENDPOINTS):
            return cls()
        if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
            raise ConfigError(
                "an endpoint for traces is set, and OpenTelemetry is not installed",
                hint="pip install 'kitestring[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
            )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = {"service.name": environment.get("OTEL_SERVICE_NAME") or "kitestring", "service.version": __version__}
        provider = TracerProvider(resource=Resource.create(named))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    @property
    def on(self) -> bool:
        return self._tracer is not None

    @contextlib.contextmanager
    def span(self, name: str, **facts: Any) -> Iterator[Callable[..., None]]:
        """A span around the block, with these facts; what it gives adds more (`failed=True` marks it as an error)."""
        if self._tracer is None:
            yield lambda **_: None
            return
        with self._tracer.start_as_current_span(name, attributes=attributes(facts)) as span:

            def add(failed: bool = False, **facts: Any) -> None:
                from opentelemetry.trace import Status, StatusCode

                span.set_attributes(attributes(facts))
                if failed:
                    span.set_status(Status(StatusCode.ERROR))

            yield add

    def close(self) -> None:
        if self.provider is not None:
            self.provider.shutdown()


def attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts under OpenTelemetry's names: `http_route` is `http.route`; what is not set is left out."""
    return {name.replace("_", ".", 1): value for name, value in facts.items() if value is not None}


class TracingMiddleware:
    """ASGI middleware: a span for each request, named by its route; addresses and bodies stay out of it."""

    def __init__(self, app: Any, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not self.tracing.on:
            await self.app(scope, receive, send)
            return
        with self.tracing.span(str(scope["method"]), http_method=scope["method"]) as add:

            async def answer(message: Any) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    add(http_route=template(scope), http_status=status, failed=status >= 500)
                await send(message)

            await self.app(scope, receive, answer)


def template(scope: Any) -> str:
    """The path of a request with the names of its parameters: the route knows its own part, the path what is before."""
    own = getattr(scope.get("route"), "path", "")
    if not own:
        return "(no route)"
    path = str(scope["path"])
    before = "" if own.count("/") >= path.count("/") else path.rsplit("/", own.count("/"))[0]
    return before + own
