"""Contracts over emulators take minutes: the suite runs a sample, and all of it with `KITESTRING_EMULATORS=1`."""

from __future__ import annotations

import os

import pytest

REASON = "a sample of this contract is in the suite; KITESTRING_EMULATORS=1 runs all of it"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the cases of a class that are not in its `emulated_cases`."""
    if os.environ.get("KITESTRING_EMULATORS"):
        return
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None:
            cases = getattr(item.cls, "emulated_cases", None)
            if cases is not None and item.originalname not in cases:
                item.add_marker(pytest.mark.skip(reason=REASON))
