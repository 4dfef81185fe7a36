"""Commits and reconciles a stream at its end. A stream whose numbers disagree is suspicious, never green."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from kitestring.destination import Counts, Destination
from kitestring.engine.result import Status, StreamResult
from kitestring.engine.selection import Route
from kitestring.errors import KitestringError
from kitestring.types import NULLED_RECORDS

log = logging.getLogger("kitestring.engine")


MAX_NULLED_SHARE = 0.01
"""The default of `Limits.max_nulled_share`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that the user sets for a sync. `allow_empty`: a replacement without records empties the destination.
    `max_nulled_share`: the largest share of records, from 0 to 1, with a null in place of a value that does not fit."""

    allow_empty: bool = False
    max_nulled_share: float = MAX_NULLED_SHARE


def count_of(destination: Destination, route: Route) -> int | None:
    """The destination's own count of a stream, or None where it gives none."""
    if not isinstance(destination, Counts):
        return None
    try:
        return destination.count(route.written)
    except KitestringError as error:
        log.warning("could not count", extra={"stream": route.read.key, "error": str(error)})
        return None


def reconcile(
    destination: Destination, route: Route, figures: StreamResult, before: int | None, limits: Limits
) -> int | None:
    """Commit the stream and compare the records read with their outcomes, and with the destination's counts.

    `before` is its count when this sync began. Returns its count now, None where it gives none.
    """
    after, allow_empty = None, limits.allow_empty
    overwrite, arrived = route.written.write.replace, figures.arrived
    if overwrite and figures.suspicions and before is not None and 0 < arrived < before and not allow_empty:
        destination.abort(route.written)
        figures.discarded = True
        figures.suspicions.append(
            f"{arrived} records were read, the destination holds {before}: the old data were kept "
            "(allow_empty replaces them)"
        )
    elif overwrite and not arrived and before and not allow_empty:
        destination.abort(route.written)
        figures.discarded = True
        figures.suspicions.append(
            f"{nothing_of(figures)}, the destination holds {before}: the old data were kept (allow_empty replaces them)"
        )
    else:
        receipt = destination.commit(route.written)
        if receipt is not None:
            figures.add(receipt)
        after = count_of(destination, route)
        disagreement = disagreement_of(route, figures, before, after)
        if disagreement:
            figures.suspicions.append(disagreement)
    nulled = int(figures.figures.get(NULLED_RECORDS, 0))
    if nulled > limits.max_nulled_share * figures.read:
        figures.suspicions.append(
            f"{nulled} of {figures.read} records have a value that does not fit its column: it is null there, and in "
            f"_airbyte_meta; the limit is {limits.max_nulled_share:.3g} of the records (max_nulled_share)"
        )
    if figures.rejected and not figures.written + figures.unchanged + figures.deleted + figures.filtered:
        figures.suspicions.append(f"all {figures.rejected} records were rejected, none was written")
    if figures.read != figures.accounted:
        figures.suspicions.append(
            f"{figures.read} records were read, {figures.accounted} are accounted for "
            f"({figures.written} written, {figures.unchanged} unchanged, {figures.deleted} deleted, "
            f"{figures.rejected} rejected, {figures.superseded} superseded, {figures.filtered} filtered)"
        )
    figures.status = Status.suspicious if figures.suspicions else Status.succeeded
    for suspicion in figures.suspicions:
        log.warning("suspicious", extra={"stream": route.read.key, "reason": suspicion})
    return after


def nothing_of(figures: StreamResult) -> str:
    return f"a mapper left out all {figures.filtered} records" if figures.filtered else "the source gave no record"


def disagreement_of(route: Route, figures: StreamResult, before: int | None, after: int | None) -> str:
    """The sentence that says how the count after the sync disagrees, or nothing."""
    write = route.written.write
    start = 0 if write.replace else before
    if after is None or start is None:
        return ""
    arrived, removed = figures.arrived, figures.removed
    if write.keep == "all":
        if after == start + arrived - removed:
            return ""
        if write.replace and removed:
            return f"{arrived} records were written, {removed} of them deleted, the destination counts {after}"
        if write.replace:
            return f"{arrived} records were written, the destination counts {after}"
        return f"{start} records and {arrived} written make {start + arrived}, the destination counts {after}"
    if figures.replaced is not None:
        # Written records are new but for those that replace one; unchanged ones of a new copy have come into it.
        expected = start + (arrived if write.replace else figures.written) - figures.replaced - removed
        # (Another sync that writes to the same place meanwhile makes the two disagree as well.)
        return "" if after == expected else f"the destination should count {expected} records, it counts {after}"
    # Which of the written keys were new is not known: the count has bounds.
    least = max(0, start - removed)
    most = start + (arrived if write.replace else figures.written)
    if write.replace and arrived > removed:
        least = max(1, least)
    if least <= after <= most:
        return ""
    return f"the destination should count {least} to {most} records, it counts {after}"
