"""A continuous sync in a child process: window after window, until it is told to stop or has lasted long enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kitestring.engine import Continuous, Progress, Result, WindowEnd, sync
from kitestring.server.child.call import ActionCall
from kitestring.server.child.protocol import ParentChannel
from kitestring.server.child.sync import (
    ParentStates,
    catalog_of,
    open_ends,
    options_of,
    report_progress,
    report_slot,
    result_body,
)
from kitestring.types import State


class WindowStates(ParentStates):
    """The states of a continuous sync in the parent. The figures that it saves are those of all windows of the
    attempt."""

    def __init__(self, up: ParentChannel, states: Mapping[str, State], notes: Mapping[str, State]) -> None:
        super().__init__(up, states, notes)
        self._before: dict[str, dict[str, Any]] = {}
        self._window: dict[str, dict[str, Any]] = {}

    def save_all(self, connection: str, states: Mapping[str, State], figures: Mapping[str, Mapping[str, Any]]) -> None:
        for key, counts in figures.items():
            self._window[key] = added(self._before.get(key, {}), counts)
        super().save_all(connection, states, {key: self._window[key] for key in figures})
        self._states.update(states)

    def end_window(self) -> None:
        self._before.update(self._window)
        self._window = {}


def added(before: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a stream with those of earlier windows. It runs on: no window ends it."""
    sums = {name: value + before.get(name, 0) for name, value in counts.items() if isinstance(value, int)}
    return {**counts, **sums, "status": "running"}


def follow(call: ActionCall) -> Any:
    request, progress = call.request, Progress()
    states = WindowStates(call.parent, request.get("states") or {}, request.get("notes") or {})
    settings = request["options"]["continuous"]

    def end_window(window: WindowEnd) -> None:
        states.end_window()
        suspicions = [f"{key}: {why}" for key, stream in window.result.streams.items() for why in stream.suspicions]
        body = {"status": window.result.status.value, "suspicions": suspicions}
        call.parent.request_answer("window", window=body)

    with open_ends(call) as (source, destination):

        def window() -> Result:
            catalog, chosen = catalog_of(call, source)
            return sync(
                source,
                destination,
                chosen,
                states=states,
                progress=progress,
                catalog=catalog,
                only_incremental=True,
                **options_of(request),
            )

        continuous = Continuous(
            call.cancel, float(settings["window_s"]), lasts_s=float(request["lasts_s"]), on_window=end_window
        )
        with report_slot(call, source), report_progress(call, progress):
            result = continuous.run(source, progress, window)
    return result_body(result, request.get("limits") or {})


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {"follow": follow}
