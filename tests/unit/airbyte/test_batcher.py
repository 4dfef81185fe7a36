"""Records gather into batches; no checkpoint ever stands before a record that it covers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kitestring.airbyte.batcher import Batcher
from kitestring.batch import Batch

STEPS = st.lists(st.sampled_from(["a", "b", "state a", "state b", "shared", "take"]), max_size=60)


@given(STEPS)
def test_checkpoints_stand_behind_what_they_cover_and_before_all_else_that_they_can(steps: list[str]) -> None:
    gather = Batcher(["a", "b"])
    gather._shared_rows = 10**9  # every shared state is due
    read = {"a": 0, "b": 0}
    forwarded = {"a": 0, "b": 0}
    last: dict[str, int] = {}

    def look(last_time: bool) -> None:
        for item in gather.take(last=last_time):
            if isinstance(item, Batch):
                assert [row["n"] for row in item.rows()] == list(
                    range(forwarded[item.stream], forwarded[item.stream] + len(item))
                )
                forwarded[item.stream] += len(item)
            elif item.stream is not None:
                assert item.state["n"] == forwarded[item.stream]
                last[item.stream] = item.state["n"]
            else:
                assert (item.state["a"], item.state["b"]) == (forwarded["a"], forwarded["b"])

    states: dict[str, int] = {}
    for step in steps:
        if step in ("a", "b"):
            gather.rows[step].append({"n": read[step]})
            gather.count += 1
            read[step] += 1
        elif step.startswith("state"):
            key = step[-1]
            states[key] = read[key]
            gather.state(key, {"n": read[key]})
        elif step == "shared":
            gather._shared_rows = 10**9
            gather.shared(dict(read))
        else:
            gather._shared_rows = 10**9
            look(False)
    gather._shared_rows = 10**9
    look(True)
    assert forwarded == read
    assert last == states


def test_shared_states_are_given_on_every_few_seconds_and_at_the_end() -> None:
    gather = Batcher(["a"])
    forwarded = []
    for number in range(50):
        gather.rows["a"].append({"n": number})
        gather.count += 1
        gather.shared({"n": number})
        forwarded += [item for item in gather.take() if not isinstance(item, Batch)]
    forwarded += [item for item in gather.take(last=True) if not isinstance(item, Batch)]
    assert [item.state["n"] for item in forwarded] == [0, 49]
