"""What a running sync says of itself: phases, counts, totals, the time left."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from kitestring import activity
from kitestring.activity import ACTIVITIES, Activity
from kitestring.batch import Batch
from kitestring.current_stream import STREAM
from kitestring.engine import Progress, StreamProgress, sync
from kitestring.engine.pace import WINDOW_S, Pace
from kitestring.engine.progress import left_s
from kitestring.engine.waits import noted_waits
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Partition, Receipt, States, Stream

WAITS_S = 60


class Stops:
    """A place at which another thread stops until it is let go."""

    def __init__(self) -> None:
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.released.wait(WAITS_S)


class Slow(MemoryDestination):
    """Reports what a vector destination reports, and stops in each phase."""

    stops: ClassVar[dict[str, Stops]] = {}

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        with activity.phase("chunking"):
            self.stops["chunking"]()
        with activity.chunked(len(batch)), activity.embedding(47, 470, 2.0):
            activity.embedded(21)
            self.stops["embedding"]()
        return batch

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self.stops["writing"]()
        return super().write(stream, batch)

    def commit(self, stream: Stream) -> None:
        activity.finishing(3, 4)
        self.stops["finishing"]()
        super().commit(stream)


class Announcing(MemorySource):
    """Says how much it will yield, waits for its rate limit, then yields it."""

    stops: ClassVar[dict[str, Stops]] = {}

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        activity.expect(10)
        logging.getLogger("kitestring.http").info("waiting", extra={"seconds": 300.0, "reason": "429"})
        self.stops["reading"]()
        yield from super().read(partition, states)


@pytest.fixture
def running() -> Iterator[Callable[[str], dict[str, Any]]]:
    """A sync in a thread; its source and its destination stop at each phase."""
    phases = ("reading", "chunking", "embedding", "writing", "finishing")
    stops = {phase: Stops() for phase in phases}
    Slow.stops = Announcing.stops = stops
    progress = Progress()

    def run() -> None:
        rows = [{"id": n} for n in range(10)]
        with noted_waits(progress):
            sync(Announcing(records={"tickets": rows}), Slow(), progress=progress)

    thread = threading.Thread(target=run)

    def at(phase: str) -> dict[str, Any]:
        if thread.ident is None:
            thread.start()
        assert stops[phase].reached.wait(WAITS_S)
        snapshot = progress.snapshot()
        stops[phase].released.set()
        return snapshot

    yield at
    for stop in stops.values():
        stop.released.set()
    thread.join()


def test_a_stream_says_what_is_done_for_it(running: Callable[[str], dict[str, Any]]) -> None:
    now = running("reading")
    stream = now["streams"]["tickets"]
    assert (stream["status"], stream["phase"], stream["total"], stream["read"]) == ("reading", "waiting", 10, 0)
    assert 290 < stream["waiting"]["seconds"] <= 300
    assert (now["waiting"]["reason"], now["summary"]["phase"]) == ("429", "waiting")
    assert running("chunking")["streams"]["tickets"]["phase"] == "chunking"
    now = running("embedding")
    stream = now["streams"]["tickets"]
    assert stream["phase"] == "embedding"
    assert stream["figures"] == {
        "chunks_embedded": 21,
        "chunks_to_embed": 47,
        "tokens": 210,
        "cost_usd": pytest.approx(0.00042),
    }
    assert (stream["done"], stream["total"], stream["read"], stream["written"]) == (4, 10, 10, 0)
    assert now["summary"]["figures"] == stream["figures"]
    assert (now["summary"]["stream"], now["summary"]["streams"], now["summary"]["total"]) == ("tickets", 1, 10)
    stream = running("writing")["streams"]["tickets"]
    assert (stream["phase"], stream["figures"]["chunks_embedded"]) == ("writing", 47)
    stream = running("finishing")["streams"]["tickets"]
    assert (stream["phase"], stream["finished"], stream["to_finish"]) == ("finishing", 3, 4)


def test_a_batch_that_fails_and_is_embedded_again_counts_once() -> None:
    work = Activity()
    ACTIVITIES.set({"t": work})
    token = STREAM.set("t")
    try:
        with contextlib.suppress(ValueError), activity.chunked(10), activity.embedding(4, 40, 1.0):
            activity.embedded(3)
            assert (work.embedded, work.tokens, work.records) == (3, 30, 10)
            raise ValueError("half way")
        assert (work.embedded, work.chunks, work.tokens, work.records, work.cost_usd) == (0, 0, 0, 0, 0.0)
        with activity.chunked(10), activity.embedding(4, 40, 1.0):
            activity.embedded(3)
        assert (work.embedded, work.chunks, work.tokens, work.records) == (4, 4, 40, 10)
        assert work.cost_usd == pytest.approx(40e-6)
    finally:
        STREAM.reset(token)
        ACTIVITIES.set({})


class Undone(Activity):
    """Its batch fails in another thread after each look at its chunks."""

    @property
    def chunks(self) -> int:  # type: ignore[override]
        chunks, self.left = self.left, 0
        return chunks

    @chunks.setter
    def chunks(self, chunks: int) -> None:
        self.left = chunks

    left: int


def test_a_batch_that_fails_while_its_progress_is_read_stops_no_display() -> None:
    work = Undone()
    work.chunks, work.records, work.embedded = 4, 8, 2
    assert StreamProgress(read=8, status="reading", activity=work).done == 4.0


def test_an_expectation_that_was_too_low_is_no_total() -> None:
    stream = StreamProgress(read=11, status="reading")
    stream.activity.expected = 10
    assert stream.total is None
    stream.complete = True
    assert stream.total == 11


def test_the_time_left_is_that_at_the_pace_of_the_last_half_minute_or_none() -> None:
    pace = Pace()
    assert pace.per_s is None
    for second in range(100):
        pace.note(second if second < 50 else 50 + 10 * (second - 50), now=1000.0 + second)
    assert pace.per_s == pytest.approx(10)
    assert left_s(540, 1040, pace) == pytest.approx(50)
    assert left_s(540, None, pace) is None
    assert left_s(1, 1000, pace) is None  # too early to say
    for second in range(100, 102 + int(WINDOW_S)):
        pace.note(540, now=1000.0 + second)
    assert left_s(540, 1040, pace) is None  # it stands still


def test_a_sync_whose_streams_cannot_all_say_their_total_has_none() -> None:
    progress = Progress()
    progress.streams["a"] = StreamProgress(read=10, written=10, status="succeeded")
    progress.streams["b"] = StreamProgress()
    assert progress.summary()["total"] is None
    progress.streams["b"].activity.expected = 30
    assert progress.summary()["estimated"]
    summary = progress.summary()
    assert (summary["done"], summary["total"], summary["streams_ended"]) == (10, 40, 1)


def test_a_full_refresh_expects_as_many_records_as_the_last_time() -> None:
    progress, seen = Progress(expected={"t": 10, "other": 3}), []

    class Watched(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            seen.append(progress.streams["t"].activity.expected)
            return super().write(stream, batch)

    assert sync(MemorySource(records={"t": [{"id": 1}]}), Watched(), progress=progress).ok
    assert seen == [10]
    assert progress.streams["t"].total == 1
