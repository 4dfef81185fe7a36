"""States of partitioned streams: where each partition continues, and which partitions a state does not cover.

Airbyte's format lists every partition with its cursor (`states`), or has one cursor for all (`use_global_cursor`). In
the first form an unlisted partition is new and is read from the start, so that its history arrives. The second form
does not distinguish partitions. Two keys of Kitestring, which Airbyte's engine ignores, help there:
`kitestring_parents` lists the partitions of the parent stream whose children were read (the channels of threads), so
that the children of a new one are read from the start; `kitestring_partitions` has number and digest of all
partitions, so that a change is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kitestring import json_codec

MOST_PARTITIONS = 10_000
"""With more partitions a stream has one cursor for all of them (airbyte-cdk 7.39.1 has the same limit)."""
PARENTS = "kitestring_parents"
LISTED = "partitions"
"""The key of a parent's state with the records that the last sync listed (`BackfillPartitionRouter`)."""
PARTITIONS = "kitestring_partitions"
SINGLE = "single"
"""Marks a run that began with one cursor for the whole stream: its unread partitions are not new."""
UNLISTED = (
    "the partition {partition} of {stream} should be read from the start, but the API did not list it in this sync: "
    "it was not read. Refresh the partition of its parent, or the whole stream: "
    "kitestring state reset CONNECTION {stream}"
)
UNCLEAR = (
    "the partitions of {{stream}} are not those of the last sync ({before} then, {now} now), and its state has one "
    "cursor for all of them: new partitions were read from that cursor on, older records are missing. To read them: "
    "kitestring state refresh CONNECTION {{stream}} --partition NAME=VALUE"
)


def partition_key(partition: Mapping[str, Any]) -> str:
    """A partition as a text, equal for equal partitions; an empty `parent_slice` does not count."""
    values = {k: v for k, v in partition.items() if k != "parent_slice" or v}
    return json_codec.dumps_text(values, sort_keys=True)


def parent_of(partition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The parent's partition of a partition; None if the parent has none."""
    parent = partition.get("parent_slice")
    return parent if isinstance(parent, Mapping) and parent else None


class SavedPartitions:
    """The cursors of a saved state, by partition. `general` is the cursor of the partitions without one of their own;
    they start `lookback_s` before it."""

    def __init__(
        self,
        state: Mapping[str, Any],
        run: Mapping[str, Any],
        cursor_of: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> None:
        single = "states" not in state and "state" not in state
        general = cursor_of(state if single else state.get("state") or {})
        self.general = general
        self.lookback_s = float(state.get("lookback_window") or 0) if general and not single else 0.0
        entries = state.get("states") or ()
        self._cursors = {partition_key(entry["partition"]): entry["cursor"] for entry in entries}
        # Older states of Airbyte's connectors have partitions as keys of an object, so that numbers became texts.
        self._texts = {
            (name, value): entry["cursor"]
            for entry in entries
            if len(entry["partition"]) == 1
            for name, value in entry["partition"].items()
            if isinstance(value, str)
        }
        # Without entries a general cursor belongs to no partition: what was read with it is unknown.
        listed = bool(self._cursors) or not general
        self._complete = listed and not (single or state.get("use_global_cursor") or run.get(SINGLE))
        parents = state[PARENTS] if PARENTS in state else parents_of_older(state)
        self._parents = None if parents is None else {partition_key(parent) for parent in parents}
        self._before = state.get(PARTITIONS)
        # The values of a user may be only some of a partition's, or its parent's, as texts.
        self._to_refresh = [] if self._complete else [entry["partition"] for entry in refresh_entries(entries)]
        self._listed_now: list[Mapping[str, Any]] = []

    def cursor_of(self, partition: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Where a partition continues: `{}` for the start, None for the general cursor."""
        saved = self._cursors.get(partition_key(partition))
        if saved is None:
            values = {name: value for name, value in partition.items() if name != "parent_slice" or value}
            saved = (
                self._texts.get((next(iter(values)), str(next(iter(values.values()))))) if len(values) == 1 else None
            )
        for refreshed in self._to_refresh:
            if has_values(partition, flat_values(refreshed)):
                self._listed_now.append(refreshed)
                return {}
        if saved is not None or self._complete:
            return saved or {}
        parent = parent_of(partition)
        if parent is not None and self._parents is not None and partition_key(parent) not in self._parents:
            return {}
        return None

    def unlisted(self) -> list[Mapping[str, Any]]:
        """The partitions that should be read from the start, and were not listed in this sync."""
        return [partition for partition in self._to_refresh if partition not in self._listed_now]

    def change_warning(self, keys: Collection[str]) -> str:
        """A warning if new partitions cannot be recognised in this sync (with `{stream}`), or an empty text."""
        if self._complete or not self.general or self._parents or not isinstance(self._before, Mapping):
            return ""
        now = summary(keys)
        return "" if now == self._before else UNCLEAR.format(before=self._before.get("count"), now=now["count"])


def summary(keys: Collection[str]) -> dict[str, Any]:
    """Number and digest of partitions, independent of their order."""
    total = 0
    for key in keys:
        total ^= int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return {"count": len(keys), "digest": f"{total:016x}"}


def parents_in(entries: Collection[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The parents' partitions in the entries of a state, without duplicates."""
    parents = [parent for entry in entries if (parent := parent_of(entry["partition"])) is not None]
    return list({partition_key(parent): parent for parent in parents}.values())


def parents_of_older(state: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The parents' partitions listed in the parents' own states, for a state without `PARENTS`; None if one is missing.

    Such a state comes from an earlier version, or from Airbyte with `incremental_dependency`.
    """
    parents = state.get("parent_state")
    if not isinstance(parents, Mapping) or not parents or not all(_lists_all(parent) for parent in parents.values()):
        return None
    return [entry["partition"] for parent in parents.values() for entry in parent["states"] if entry["cursor"]]


def _lists_all(state: Any) -> bool:
    """Whether a state has an entry for each partition that was read."""
    return isinstance(state, Mapping) and bool(state.get("states")) and not state.get("use_global_cursor")


def refresh_entries(entries: Collection[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries of partitions to read from the start: those without a cursor value."""
    return [entry for entry in entries if not entry["cursor"]]


def flat_values(partition: Mapping[str, Any]) -> dict[str, str]:
    """The values of a partition and of its parents, as texts; its own values come first."""
    flat: dict[str, str] = {}
    level: Any = partition
    while isinstance(level, Mapping):
        flat = {**{str(name): str(value) for name, value in level.items() if name != "parent_slice"}, **flat}
        level = level.get("parent_slice")
    return flat


def refresh_partitions(
    state: Mapping[str, Any], values: Mapping[str, str]
) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """A state that reads the partitions with these values from the start, and those partitions.

    `values` are compared as texts, also with the parents' partitions; the parents' own states forget them too. A state
    with one cursor for all partitions may not list a partition: then `values` themselves are the partition.
    """
    new, partitions = _without(state, values)
    if not partitions and (state.get("use_global_cursor") or _lists(state, values)):
        partitions = [dict(values)]
        new["states"] = [*(new.get("states") or ()), {"partition": dict(values), "cursor": {}}]
    return new, partitions


def _lists(state: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Whether the parents' states list the values (`BackfillPartitionRouter`)."""
    listed = [
        str(value)
        for parent in (state.get("parent_state") or {}).values()
        if isinstance(parent, Mapping)
        for value in parent.get(LISTED) or ()
    ]
    return bool(values) and all(value in listed for value in values.values())


def _without(state: Mapping[str, Any], values: Mapping[str, str]) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    new, partitions = dict(state), []
    entries = []
    for entry in state.get("states") or ():
        if has_values(entry["partition"], values):
            partitions.append(entry["partition"])
            entry = {**entry, "cursor": {}}
        entries.append(entry)
    if entries:
        new["states"] = entries
    if parents := state.get(PARENTS):
        partitions.extend(parent for parent in parents if has_values(parent, values))
        new[PARENTS] = [parent for parent in parents if not has_values(parent, values)]
    if isinstance(listed := state.get(LISTED), list):
        # An unlisted value is new until a sync has read it.
        new[LISTED] = [value for value in listed if str(value) not in values.values()]
    if isinstance(state.get("parent_state"), Mapping):
        new["parent_state"] = {name: _without(parent, values)[0] for name, parent in state["parent_state"].items()}
    return new, partitions


def has_values(partition: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Whether a partition, or one of its parents, has each of the values."""
    flat = flat_values(partition)
    return all(flat.get(name) == value for name, value in values.items())
