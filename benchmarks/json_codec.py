"""The exact JSON reader and writer beside orjson, which is fast and changes some numbers.

    python benchmarks/json_codec.py [--rounds 30]

Pages of 2,000 records: tickets (texts, dates, nulls, no long number), tickets with ids of 20 digits in texts,
coordinates (two floats of 17 digits in each record, which orjson keeps), one integer of 21 digits among tickets, and
integers of 21 digits everywhere. For the last two orjson's answer is wrong; the ratio says what being right costs.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

import orjson

from kitestring import json_codec


def pages() -> dict[str, list[dict[str, Any]]]:
    dice = random.Random(1)
    tickets = [
        {
            "id": 35436 + n,
            "url": f"https://example.zendesk.com/api/v2/tickets/{n}.json",
            "created_at": "2024-05-01T10:00:00Z",
            "subject": "The parcel arrived broken",
            "description": "It was wet, and one corner was crushed. " * 8,
            "organization_id": 360033549136 + n,
            "due_at": None,
            "satisfaction": 0.5,
            "tags": ["parcel", "broken"],
            "custom_fields": [{"id": 27642, "value": None}, {"id": 27648, "value": "yes"}],
        }
        for n in range(2000)
    ]
    places = [
        {"id": n, "lat": dice.uniform(-90, 90), "lon": dice.uniform(-180, 180), "name": "a place of some kind " * 4}
        for n in range(2000)
    ]
    return {
        "tickets": tickets,
        "tickets, 20 digits in texts": [{**row, "reference": f"{10**19 + row['id']}"} for row in tickets],
        "coordinates": places,
        "one integer of 21 digits": [*tickets[:-1], {**tickets[-1], "id": 123456789012345678901}],
        "integers of 21 digits": [{**row, "id": 123456789012345678901 + row["id"]} for row in tickets],
    }


def fastest(call: Callable[[], Any], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    print(f"{'page':32} {'MB':>5} {'orjson ms':>10} {'read':>6} {'json':>6} {'write each':>11}")
    for name, rows in pages().items():
        text = json.dumps(rows).encode()
        floor = fastest(lambda text=text: orjson.loads(text), rounds)  # type: ignore[misc]
        ours = fastest(lambda text=text: json_codec.loads(text), rounds)  # type: ignore[misc]
        plain = fastest(lambda text=text: json.loads(text), rounds)  # type: ignore[misc]
        written = ""
        if "integer" not in name:
            floor_w = fastest(lambda rows=rows: [orjson.dumps(row, default=str) for row in rows], rounds)  # type: ignore[misc]
            ours_w = fastest(lambda rows=rows: [json_codec.dumps(row) for row in rows], rounds)  # type: ignore[misc]
            written = f"{ours_w / floor_w:.2f}"
        figures = f"{len(text) / 1e6:5.2f} {floor * 1e3:10.2f} {ours / floor:6.2f} {plain / floor:6.2f}"
        print(f"{name:32} {figures} {written:>11}")


if __name__ == "__main__":
    main()
