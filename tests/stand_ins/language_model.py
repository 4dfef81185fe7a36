"""A stand-in for a server of language models, in the wire formats of OpenAI (completions) and Anthropic.

It answers with `answer_text`, whatever it is asked, and keeps what it was asked. Facts: platform.openai.com/docs
(api-reference, chat), platform.claude.com/docs (en/api, messages), read 2026-11.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, StandIn, route
from stand_ins.command_line import run

KEY = "model-key-4711"


class LanguageModelStandIn(StandIn):
    """Models on 127.0.0.1. `answer_text` is the text of the next answers; `text` all that was asked."""

    name: ClassVar[str] = "language model"

    def __init__(self, answer: str = "{}", **options: Any) -> None:
        super().__init__(**options)
        self.answer_text = answer

    @property
    def text(self) -> str:
        return "\n".join(call.body.decode() for call in self.requests)

    @route("POST", "/v1/chat/completions")
    def completions(self, call: Call) -> Any:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return Answer(401, {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}})
        body = call.json()
        if not body.get("model") or [message["role"] for message in body["messages"]] != ["system", "user"]:
            return Answer(400, {"error": {"message": "model and messages are needed"}})
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
            or body["messages"][0]["role"] != "user"
        ):
            error = {
                "type": "invalid_request_error",
                "message": "anthropic-version, max_tokens and messages are needed",
            }
            return Answer(400, {"type": "error", "error": error})
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": self.answer_text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }


if __name__ == "__main__":
    run(LanguageModelStandIn)
