import pickle
from dataclasses import replace

import pytest

from kitestring import registry
from kitestring.sources.sample import Sample
from kitestring.types import Checkpoint, SyncMode

STREAMS = ("users", "products", "purchases")


def records(source, name, states=None, sync_mode=SyncMode.full_refresh):
    """The records and the checkpoints that a read of all partitions gives."""
    stream = replace(source.discover().get(name), sync_mode=sync_mode)
    results, checkpoints = [], []
    for partition in pickle.loads(pickle.dumps(list(source.partitions([stream], states or {})))):
        for item in source.read(partition, states or {}):
            if isinstance(item, Checkpoint):
                checkpoints.append(item.state)
            else:
                results += [item] if isinstance(item, dict) else item.rows()
    return results, checkpoints


@pytest.mark.parametrize("name", STREAMS)
def test_every_record_comes_once_whatever_the_batches_and_partitions(name):
    whole, _ = records(Sample(count=1234), name)
    assert sorted(row["id"] for row in whole) == list(range(1, 1235))
    for settings in ({"batch_rows": 7, "partition_rows": 100}, {"batch_rows": 5000}, {"yields": "records"}):
        assert records(Sample(count=1234, **settings), name)[0] == whole


@pytest.mark.parametrize("name", STREAMS)
def test_arrow_and_json_are_the_same_records(name):
    arrow, _ = records(Sample(count=500, yields="arrow"), name)
    json, _ = records(Sample(count=500), name)
    for row in arrow:
        for field in ("created_at", "updated_at"):
            row[field] = row[field].isoformat().replace("+00:00", "Z")
    assert arrow == json


def test_a_seed_gives_the_same_records_again_and_another_seed_others():
    assert records(Sample(seed=1), "users") == records(Sample(seed=1), "users")
    assert records(Sample(seed=1), "users") != records(Sample(seed=2), "users")


@pytest.mark.parametrize("updates", [0, 1, 40, 100, 250])
def test_an_incremental_read_gives_what_changed_since_the_last(updates):
    first, states = records(Sample(count=100), "users", sync_mode=SyncMode.incremental)
    assert len(first) == 100
    later, _ = records(
        Sample(count=100, updates=updates, batch_rows=9), "users", {"users": states[-1]}, SyncMode.incremental
    )
    assert len(later) == min(updates, 100)
    merged = {row["id"]: row for row in [*first, *later]}
    everything, _ = records(Sample(count=100, updates=updates), "users")
    assert merged == {row["id"]: row for row in everything}


def test_a_read_goes_on_after_any_checkpoint():
    source = Sample(count=95, updates=30, batch_rows=10)
    whole, states = records(source, "purchases", sync_mode=SyncMode.incremental)
    assert len(states) > 5
    for state in states:
        done = [row for row in whole if row["updated_at"] <= state["cursor"]]
        rest, _ = records(source, "purchases", {"purchases": state}, SyncMode.incremental)
        assert done + rest == whole


def test_cursor_values_rise_and_references_lead_to_records():
    purchases, _ = records(Sample(count=300, updates=50), "purchases")
    moments = [row["updated_at"] for row in purchases]
    assert moments == sorted(set(moments))
    assert all(1 <= row["user_id"] <= 300 and 1 <= row["product_id"] <= 300 for row in purchases)


def test_times_go_past_midnight_and_past_the_year():
    source = Sample(count=32_000_000)
    last = source.columns("users", 31_999_990, 32_000_000)["updated_at"]
    assert last[-1] == "2025-01-05T08:53:19Z"
    assert source.columns("users", 86_399, 86_401)["created_at"] == ["2024-01-01T23:59:59Z", "2024-01-02T00:00:00Z"]


def test_no_records_are_no_error():
    assert records(Sample(count=0), "users") == ([], [])
    assert records(Sample(count=0), "users", sync_mode=SyncMode.incremental) == ([], [])


def test_the_registry_finds_it():
    assert registry.source("sample", {"count": 3}).count == 3
