"""A stand-in for a server of language models, in the wire formats of OpenAI (completions) and Anthropic.

It answers with `answer_text`, whatever it is asked, whole or as a stream, and keeps what it was asked. Facts:
platform.openai.com/docs (api-reference, chat), platform.claude.com/docs (en/api, messages), read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, StandIn, route
from stand_ins.command_line import run

KEY = "model-key-4711"


class LanguageModelStandIn(StandIn):
    """Models on 127.0.0.1. `answer_text` is the text of the next answers; `text` all that was asked. `stop_reason` is
    why they end, in the words of OpenAI. A stream ends after `parts` of its parts; None for all. `error` is an event in
    place of the end of a stream."""

    name: ClassVar[str] = "language model"

    def __init__(self, answer: str = "{}", **options: Any) -> None:
        super().__init__(**options)
        self.answer_text = answer
        self.stop_reason = "stop"
        self.parts: int | None = None
        self.error: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        return "\n".join(call.body.decode() for call in self.requests)

    @route("POST", "/v1/chat/completions")
    def completions(self, call: Call) -> Any:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return Answer(401, {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}})
        body = call.json()
        roles = [message["role"] for message in body["messages"]]
        if not body.get("model") or roles[:1] != ["system"] or not is_conversation(roles[1:]):
            return Answer(400, {"error": {"message": "model and messages are needed"}})
        if body.get("stream"):
            return self._stream(self._completion_events(bool(body.get("stream_options", {}).get("include_usage"))))
        message = {"role": "assistant", "content": self.answer_text}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    @route("POST", "/v1/messages")
    def messages(self, call: Call) -> Any:
        if call.headers.get("x-api-key") != KEY:
            return Answer(
                401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
            )
        body = call.json()
        if (
            "anthropic-version" not in call.headers
            or not body.get("max_tokens")
            or not is_conversation([message["role"] for message in body["messages"]])
        ):
            error = {
                "type": "invalid_request_error",
                "message": "anthropic-version, max_tokens and messages are needed",
            }
            return Answer(400, {"type": "error", "error": error})
        if body.get("stream"):
            return self._stream(self._message_events())
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": self.answer_text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }

    def _pieces(self) -> Iterator[str]:
        """The answer in pieces of seven characters: words, citations and marks come in parts."""
        text = self.answer_text
        return (text[start : start + 7] for start in range(0, len(text), 7))

    def _stream(self, events: Iterator[str]) -> Answer:
        lines = list(events)[: self.parts]
        if self.error is not None:
            lines.append(f"data: {json.dumps({'type': 'error', 'error': self.error})}\n\n")
        return Answer(200, "".join(lines).encode(), {"Content-Type": "text/event-stream; charset=utf-8"})

    def _completion_events(self, usage: bool) -> Iterator[str]:
        def chunk(choices: list[Any], **more: Any) -> str:
            body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, **more}
            return f"data: {json.dumps(body)}\n\n"

        yield chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for piece in self._pieces():
            yield chunk([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        yield chunk([{"index": 0, "delta": {}, "finish_reason": self.stop_reason}])
        if usage:
            yield chunk([], usage={"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100})
        yield "data: [DONE]\n\n"

    def _message_events(self) -> Iterator[str]:
        def event(kind: str, **body: Any) -> str:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **body})}\n\n"

        yield event("message_start", message={"usage": {"input_tokens": 1000, "output_tokens": 1}})
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield event("ping")
        for piece in self._pieces():
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        yield event("content_block_stop", index=0)
        reason = {"stop": "end_turn", "length": "max_tokens"}[self.stop_reason]
        yield event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 100})
        yield event("message_stop")


def is_conversation(roles: list[str]) -> bool:
    """Whether a user and the assistant take turns, and the user has the last word."""
    return len(roles) % 2 == 1 and roles == (["user", "assistant"] * len(roles))[: len(roles)]


if __name__ == "__main__":
    run(LanguageModelStandIn)
