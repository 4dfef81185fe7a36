"""Numbers in JSON documents that the JSON type of a database cannot hold exactly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring.json_codec import JsonError, loads

if TYPE_CHECKING:
    import pyarrow as pa

SUSPECT = r"[0-9.]{17,}|[0-9][eE][-+]?[0-9]"
"""What a text has that holds such a number: more digits than a float of 64 bits, or an exponent."""


def inexact_number(texts: pa.ChunkedArray, is_exact: Callable[[int | Decimal], bool]) -> str | None:
    """A number in one of these JSON texts that cannot be stored exactly; None if all can. `is_exact` decides for
    numbers that are no floats of 64 bits."""
    import pyarrow.compute as pc

    suspects = pc.fill_null(pc.match_substring_regex(texts, SUSPECT), False)
    for text in texts.filter(suspects).to_pylist():
        try:
            document = loads(text)
        except JsonError:
            continue  # the database says what is wrong
        for number in numbers(document):
            if not is_exact(number):
                return f"{number!s:.60}"
    return None


def numbers(document: Any) -> list[int | Decimal]:
    """The numbers in a document that are no floats of 64 bits."""
    exact: list[int | Decimal] = []
    values = [document]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            exact.append(value)
    return exact
