"""Bytes become messages, however they are cut into blocks."""

from __future__ import annotations

import json
import random

from kitestring.airbyte.decode import Decoder, Garbage

LINES = [
    b'{"type":"RECORD","record":{"stream":"a","data":{"text":"line \\n feed, \xe2\x80\x93"}}}',
    b"no message",
    b"",
    b'{"type":"STATE"}',
    b"[1]",
    b'{"a":1,',
    b'"b":2}',
    b'  {"type": "LOG"}\r',
    b'{"type":"RECORD","record":{"stream":"a","data":{"x":NaN}}}',
    b'{"type":"RECORD","record":{"str',
]


def test_messages_do_not_depend_on_where_the_blocks_are_cut() -> None:
    whole = b"\n".join(LINES)
    expected = repr_of(Decoder(), [whole])
    assert len(expected) == 9
    chance = random.Random(4)
    for _ in range(200):
        cuts = sorted(chance.sample(range(len(whole)), 6))
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        assert repr_of(Decoder(), pieces) == expected


def repr_of(decoder: Decoder, pieces: list[bytes]) -> list[str]:
    actual_pieces = [m for part in pieces for m in decoder.feed(part)] + decoder.end()
    return [repr(m) for m in actual_pieces]


def test_a_broken_record_is_told_apart_from_chatter() -> None:
    broken, chatter, note = Decoder().feed(b'{"type":"RECORD","rec\nhello\n{"note": \n')
    assert isinstance(broken, Garbage)
    assert broken.broken
    assert chatter == Garbage("hello", False)
    assert note == Garbage('{"note":', False)


def test_a_block_of_lines_is_what_its_lines_are() -> None:
    messages = [{"n": n, "text": "x,\\n" * n} for n in range(200)]
    assert Decoder().feed(b"".join(json.dumps(m).encode() + b"\n" for m in messages)) == messages
