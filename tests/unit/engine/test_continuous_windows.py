"""Windows of a continuous sync that fail are repeated where that helps; the sums of all windows are the result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import PrivateAttr

from kitestring.change_following import Following
from kitestring.engine import Continuous, MemoryStates, Progress, Result, Selection, Status, WindowEnd, continuous, sync
from kitestring.errors import TransientError
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Catalog


class Restarting(MemorySource):
    """Follows its changes; its server is away when the window with the number `away_at` begins."""

    away_at: int = 0
    _windows: int = PrivateAttr(default=0)

    def refuse_to_follow(self) -> None:
        """It can always follow."""

    def follow(self, following: Following | None) -> None:
        self._windows += following is not None

    def discover(self) -> Catalog:
        if self._windows == self.away_at:
            raise TransientError("the server is away")
        return super().discover()


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuous, "LEAST_WINDOW_S", 0.0)
    monkeypatch.setattr(continuous, "RETRY_MOST_S", 0.0)


def source(away_at: int) -> Restarting:
    records = {"things": [{"id": n, "at": n} for n in range(3)]}
    return Restarting(records=records, primary_keys={"things": "id"}, cursors={"things": "at"}, away_at=away_at)


def window_of(source: Restarting) -> Callable[[], Result]:
    destination, states = MemoryDestination(), MemoryStates()
    selections = [Selection("things", "incremental", write_mode="append_dedup")]
    return lambda: sync(source, destination, selections, states=states, only_incremental=True)


def test_a_window_that_cannot_begin_is_repeated_and_the_next_one_goes_on() -> None:
    stop, windows = threading.Event(), list[WindowEnd]()

    def end(window: WindowEnd) -> None:
        windows.append(window)
        if window.number == 3:
            stop.set()

    restarting = source(away_at=2)
    result = Continuous(stop, retries=True, on_window=end).run(restarting, Progress(), window_of(restarting))
    assert [window.result.status for window in windows] == [Status.succeeded, Status.failed, Status.succeeded]
    assert result.status is Status.succeeded
    assert result.streams["things"].written == 3


@pytest.mark.parametrize(("away_at", "options"), [(1, {"retries": True}), (2, {})])
def test_a_first_window_that_cannot_begin_ends_the_sync_and_any_where_none_is_repeated(
    away_at: int, options: dict[str, Any]
) -> None:
    restarting = source(away_at)
    with pytest.raises(TransientError, match="is away"):
        Continuous(threading.Event(), lasts_s=60, **options).run(restarting, Progress(), window_of(restarting))
