"""A language model of the operator over HTTP, in the wire formats of OpenAI (and what is compatible) and Anthropic.

Facts: platform.openai.com/docs (api-reference, chat, streaming), platform.claude.com/docs (messages, streaming), read
2026-11.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from kitestring import json_codec
from kitestring.errors import ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http import Session
from kitestring.http.message import Response
from kitestring.retrieval.model_stream import ModelUsage, StreamReader, stream_reader, text_in, usage_in

Kind = Literal["openai", "anthropic"]
TIMEOUT_S = 120.0
MOST_WAIT_S = 20.0
MOST_TOKENS = 4000
"""Of an answer."""
LARGEST_ANSWER = 1_000_000
PART_BYTES = 512
"""A stream is read in small parts, so that its text is shown as it comes."""
ANTHROPIC_VERSION = "2023-06-01"
VARIABLES = "KITESTRING_ANSWER"
"""The beginning of the variables that name the model of answers."""


class Message(TypedDict):
    """A turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A model by its address and name. `url`: `https://api.openai.com/v1`, `http://localhost:11434/v1`,
    `https://api.anthropic.com`. Prices are in USD for a million tokens; None if they are unknown.

    `variables` is the beginning of the settings that an error names. The key is in no error and no log.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    kind: Kind = "openai"
    input_usd: float | None = None
    output_usd: float | None = None
    variables: str = VARIABLES
    max_wait_s: float = MOST_WAIT_S
    """The longest that a rate limit is waited for."""

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> LanguageModel | None:
        """The model that the variables `KITESTRING_ANSWER_…` name; None without an address and a model."""
        values = {name: environment.get(f"{VARIABLES}_{name}", "").strip() for name in ("URL", "MODEL", "KEY", "KIND")}
        if not values["URL"] and not values["MODEL"]:
            return None
        for name in ("URL", "MODEL"):
            if not values[name]:
                other = "MODEL" if name == "URL" else "URL"
                raise ConfigError(
                    f"{VARIABLES}_{other} is set and {VARIABLES}_{name} is not", hint="Set both, or neither."
                )
        kind = values["KIND"] or "openai"
        if kind not in ("openai", "anthropic"):
            raise ConfigError(f"{VARIABLES}_KIND is {kind}", hint="Set it to openai or anthropic.")
        prices = [price(environment, name) for name in ("INPUT_USD", "OUTPUT_USD")]
        return cls(values["URL"], values["MODEL"], values["KEY"], kind, *prices)  # type: ignore[arg-type]

    def cost_usd(self, usage: ModelUsage) -> float | None:
        """The price of a request; None if prices or tokens are unknown."""
        if self.input_usd is None or self.output_usd is None:
            return None
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        return (usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd) / 1e6

    def complete(self, system: str, messages: Sequence[Message], most_tokens: int = MOST_TOKENS) -> str:
        """The whole answer. `TransientError` where the model is busy or does not answer, `ConfigError` where it
        refuses."""
        with self._response(system, messages, most_tokens, stream=False) as response:
            text = text_in(self.kind, json_codec.loads(limited(response)))
        if not text:
            raise self._no_text()
        return text

    def stream(
        self, system: str, messages: Sequence[Message], most_tokens: int = MOST_TOKENS
    ) -> Iterator[str | ModelUsage]:
        """The parts of the answer as they come, and in the end what it took. An answer that breaks off raises
        `TransientError` after its last part: only with the `ModelUsage` it is whole. Close it to stop the model."""
        reader = stream_reader(self.kind)
        with self._response(system, messages, most_tokens, stream=True) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                # The server does not stream.
                values = json_codec.loads(limited(response))
                text = text_in(self.kind, values)
                if not text:
                    raise self._no_text()
                yield text
                yield usage_in(self.kind, values)
                return
            size = 0
            for part in response.chunks(PART_BYTES):
                size += len(part)
                if size > 10 * LARGEST_ANSWER:
                    response.close()
                    raise ConnectorError(f"the model answers with more than {10 * LARGEST_ANSWER:,} bytes")
                yield from reader.take(part)
                if reader.complete:
                    break
            yield from reader.take(b"\n\n")
        yield self._end(reader)

    def _end(self, reader: StreamReader) -> ModelUsage:
        if not reader.complete:
            raise TransientError(
                "the answer of the model broke off before its end", hint="Ask again; what came is not the whole answer."
            )
        if not reader.has_text:
            raise self._no_text()
        return reader.usage

    def _no_text(self) -> ConnectorError:
        return ConnectorError(
            f"the answer of the model has no text as {self.kind} writes it", hint=f"Check {self.variables}_KIND."
        )

    @contextmanager
    def _response(
        self, system: str, messages: Sequence[Message], most_tokens: int, *, stream: bool
    ) -> Iterator[Response]:
        """The response to a request. Errors, also those of reading it, say that they are the model's."""
        url, headers, body = self._request(system, messages, most_tokens)
        if stream:
            body["stream"] = True
            if self.kind == "openai":
                body["stream_options"] = {"include_usage": True}
        secrets = [self.key] if self.key else []
        with Session(timeout_s=TIMEOUT_S, max_wait_s=self.max_wait_s, secrets=secrets) as session:
            try:
                response = session.request("POST", url, headers=headers, json=body, stream=True)
                yield response
            except json_codec.JsonError as error:
                raise ConnectorError(
                    f"the model's server answers with no JSON: {error}", hint=f"Check {self.variables}_URL."
                ) from None
            except TransientError as error:
                raise TransientError(
                    f"the model did not answer: {error.message}", hint=error.hint, retry_after_s=error.retry_after_s
                ) from error
            except ConnectorError:
                raise
            except KitestringError as error:
                raise ConfigError(
                    f"the model refuses: {error.message}",
                    hint=f"Check {self.variables}_URL, _KEY, _MODEL and _KIND.",
                ) from error

    def _request(
        self, system: str, messages: Sequence[Message], most_tokens: int
    ) -> tuple[str, dict[str, str], dict[str, Any]]:
        base = self.url.rstrip("/")
        body: dict[str, Any] = {"model": self.model}
        if self.kind == "anthropic":
            url = base if base.endswith("/messages") else f"{base.removesuffix('/v1')}/v1/messages"
            headers = {"x-api-key": self.key, "anthropic-version": ANTHROPIC_VERSION}
            return url, headers, body | {"max_tokens": most_tokens, "system": system, "messages": list(messages)}
        url = base if base.endswith("/chat/completions") else f"{base}/chat/completions"
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return url, headers, body | {"messages": [{"role": "system", "content": system}, *messages]}


def price(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(f"{VARIABLES}_{name}", "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise ConfigError(
            f"{VARIABLES}_{name} is {text}", hint="Give the price of a million tokens in USD, such as 2.5."
        )
    return value


def limited(response: Response) -> bytes:
    """The body of a response, if it is not too large."""
    content = b""
    for chunk in response.chunks():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            response.close()
            raise ConnectorError(f"the model answers with more than {LARGEST_ANSWER:,} bytes")
    return content
