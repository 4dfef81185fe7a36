"""What a language model sends: texts and tokens of an answer, whole or as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kitestring import json_codec
from kitestring.errors import ConfigError, ConnectorError, TransientError

BUSY = ("overloaded_error", "rate_limit_error", "api_error", "server_error", "rate_limit_exceeded", "timeout_error")
"""Types of errors after which a later attempt may succeed."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """The tokens of a request, None if the model does not count them, and why the answer ended: `end`, `length` (the
    limit of tokens) or `refused`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    stopped: str = "end"


STOPS = {"length": "length", "max_tokens": "length", "content_filter": "refused", "refusal": "refused"}


class StreamReader:
    """Takes the bytes of a stream in parts of any size, and yields its texts. `complete`: its end has come."""

    def __init__(self) -> None:
        self.complete = False
        self.has_text = False
        self._rest = b""
        self._data: list[bytes] = []
        self._input: int | None = None
        self._output: int | None = None
        self._stopped = "end"

    @property
    def usage(self) -> ModelUsage:
        return ModelUsage(self._input, self._output, self._stopped)

    def take(self, part: bytes) -> Iterator[str]:
        """The texts of the events that are whole by now."""
        lines = (self._rest + part).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].strip())
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                for text in self._event(data):
                    self.has_text = True
                    yield text

    def _event(self, data: bytes) -> Iterator[str]:
        if data == b"[DONE]":
            self.complete = True
            return
        try:
            values = json_codec.loads(data)
        except json_codec.JsonError as error:
            raise ConnectorError(f"the model streams an event that is no JSON: {error}") from None
        if not isinstance(values, Mapping):
            return
        if values.get("error"):
            raise error_in(values["error"])
        yield from self._texts(values)

    def _texts(self, values: Mapping[str, Any]) -> Iterator[str]:
        raise NotImplementedError

    def _count(self, usage: Any, names: tuple[str, str]) -> None:
        if isinstance(usage, Mapping):
            self._input = whole(usage.get(names[0]), self._input)
            self._output = whole(usage.get(names[1]), self._output)

    def _stop(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self._stopped = STOPS.get(reason, "end")


class OpenAIStream(StreamReader):
    """Chunks of a chat completion. The tokens come after the reason of the end, in a chunk without choices."""

    def __init__(self) -> None:
        super().__init__()
        self._finished = False

    def _texts(self, values: Mapping[str, Any]) -> Iterator[str]:
        self._count(values.get("usage"), ("prompt_tokens", "completion_tokens"))
        choices = values.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, Mapping) else None
        if isinstance(text, str) and text:
            yield text
        if choice.get("finish_reason"):
            self._stop(choice["finish_reason"])
            self._finished = True

    def take(self, part: bytes) -> Iterator[str]:
        yield from super().take(part)
        # A last blank line ends the stream of a server that sends no [DONE].
        if part == b"\n\n" and self._finished:
            self.complete = True


class AnthropicStream(StreamReader):
    """Events of a message."""

    def _texts(self, values: Mapping[str, Any]) -> Iterator[str]:
        kind = values.get("type")
        if kind == "message_start":
            message = values.get("message")
            self._count(message.get("usage") if isinstance(message, Mapping) else None, TOKENS["anthropic"])
        elif kind == "content_block_delta":
            delta = values.get("delta")
            text = delta.get("text") if isinstance(delta, Mapping) else None
            if isinstance(text, str) and text:
                yield text
        elif kind == "message_delta":
            self._count(values.get("usage"), TOKENS["anthropic"])
            delta = values.get("delta")
            self._stop(delta.get("stop_reason") if isinstance(delta, Mapping) else None)
        elif kind == "message_stop":
            self.complete = True


TOKENS = {"openai": ("prompt_tokens", "completion_tokens"), "anthropic": ("input_tokens", "output_tokens")}


def stream_reader(kind: str) -> StreamReader:
    return AnthropicStream() if kind == "anthropic" else OpenAIStream()


def error_in(error: Any) -> TransientError | ConfigError:
    """The error that a model sends in place of the rest of its answer."""
    kind = str(error.get("type") or error.get("code") or "") if isinstance(error, Mapping) else ""
    message = str(error.get("message") or kind) if isinstance(error, Mapping) else str(error)
    if kind in BUSY or not kind:
        return TransientError(f"its answer broke off: {message[:500]}", hint="Ask again in a minute.")
    return ConfigError(message[:500])


def text_in(kind: str, values: Any) -> str:
    """The text of an answer, in the wire format of a kind; empty where it has none."""
    values = values if isinstance(values, Mapping) else {}
    if kind == "anthropic":
        blocks = values.get("content")
        texts = (
            [block.get("text") for block in blocks if isinstance(block, Mapping)] if isinstance(blocks, list) else []
        )
        return "".join(text for text in texts if isinstance(text, str))
    choices = values.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else ""


def usage_in(kind: str, values: Any) -> ModelUsage:
    """The tokens of an answer, and why it ended."""
    values = values if isinstance(values, Mapping) else {}
    usage = values.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    reason = values.get("stop_reason")
    choices = values.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        reason = choices[0].get("finish_reason")
    names = TOKENS["anthropic" if kind == "anthropic" else "openai"]
    return ModelUsage(whole(usage.get(names[0])), whole(usage.get(names[1])), STOPS.get(str(reason), "end"))


def whole(value: Any, otherwise: int | None = None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
