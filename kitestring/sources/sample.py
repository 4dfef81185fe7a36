"""Deterministic users, products and purchases of any count, for offline trials, tests and benchmarks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import orjson

from kitestring import activity
from kitestring.batch import Batch
from kitestring.config import option
from kitestring.facts import Facts, Proposal
from kitestring.source import Item, Source
from kitestring.types import Catalog, Checkpoint, Partition, States, Stream, SyncMode

EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

if TYPE_CHECKING:
    import pyarrow as pa

# Records cycle through these lists; lengths without a common divisor make combinations repeat late.
FIRST = [
    "Ana", "Bo", "Chidi", "Dana", "Émile", "Fatima", "Gus", "Hana", "Ívar", "Jun", "Kofi", "Lena",
    "Mai", "Noor", "Olu", "Pía", "Quinn", "Rosa", "Søren",
]  # fmt: skip
LAST = [
    "Abe", "Berg", "Castro", "Diallo", "Évora", "Fox", "García", "Haddad", "Ito", "Jensen", "Kim",
    "Łuk", "Mori", "Novak", "Okafor", "Park", "Qureshi",
]  # fmt: skip
CITIES = [
    "Accra", "Bogotá", "Cork", "Delhi", "Essen", "Fez", "Graz", "Hanoi", "İzmir", "Jena", "Kyōto", "Lima", "Minsk",
]  # fmt: skip
ADDRESSES = [
    {"city": city, "postcode": f"{n * 7919 % 100_000:05}", "floor": n % 4 or None} for n, city in enumerate(CITIES)
]
TAGS = [["new"], ["vip", "beta"], [], ["trial"], None, ["vip"], ["staff", "beta", "vip"]]
AGES = [None, *range(18, 81, 3)]
HEIGHTS = [1.5 + n / 100 for n in range(53)]
KINDS = ["lamp", "chair", "kettle", "tent", "notebook", "scarf", "clock", "bottle", "basket", "drum", "radio"]
MATERIALS = ["oak", "steel", "wool", "glass", "bamboo", "cotton", "leather"]
QUALITIES = ["sturdy", "light", "quiet", "folding", "bright"]
PRICES = [round(3 + n * n / 7, 2) for n in range(97)]
RATINGS = [None, *(n / 10 for n in range(10, 51))]
NOTES = [
    None,
    "leave it at the door",
    "gift 🎁",
    "für Oma, bitte klingeln",
    'say "hi", then\nknock',
    "",
    "急がなくてよい",
]
FLAGS = [True, True, False]

TEXT, INTEGER, NUMBER = {"type": ["string", "null"]}, {"type": ["integer", "null"]}, {"type": ["number", "null"]}
FLAG = {"type": ["boolean", "null"]}
MOMENT = {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
FIELDS: dict[str, dict[str, Any]] = {
    "users": {
        "id": {"type": "integer"},
        "name": TEXT,
        "email": TEXT,
        "age": INTEGER,
        "height_m": NUMBER,
        "active": FLAG,
        "tags": {"type": ["array", "null"], "items": TEXT},
        "address": {
            "type": ["object", "null"],
            "properties": {"city": TEXT, "postcode": TEXT, "floor": INTEGER},
            "additionalProperties": False,
        },
        "created_at": MOMENT,
        "updated_at": MOMENT,
    },
    "products": {
        "id": {"type": "integer"},
        "name": TEXT,
        "description": TEXT,
        "price": NUMBER,
        "rating": NUMBER,
        "in_stock": FLAG,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    },
    "purchases": {
        "id": {"type": "integer"},
        "user_id": INTEGER,
        "product_id": INTEGER,
        "quantity": INTEGER,
        "total": NUMBER,
        "note": TEXT,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    },
}


class Sample(Source):
    """Users, products and purchases, the same for the same settings.

    The records change on a clock that ticks once a second: tick `t` writes record `t % count`. So `count` ticks create
    the records, and each of the `updates` ticks after them changes one record and moves its `updated_at`.
    """

    facts: ClassVar[Facts] = Facts(
        title="Sample data",
        network="none",
        programs=False,
        category="sample data",
        summary="users, products and purchases, made up on the spot",
        proposal=Proposal(config="count: 1000\n", streams=("users",)),
    )

    count: int = option(1000, ge=0, order=0, title="Count")
    """How many records each stream holds."""

    seed: int = option(0, order=1, title="Seed")
    """Another seed gives other records."""

    updates: int = option(0, ge=0, order=2, title="Updates")
    """How many changes were made since the records were created. Raise it and the next incremental sync reads these."""

    yields: Literal["arrow", "batches", "records"] = option("batches", order=3, title="Yields")
    """The form of records: Arrow tables, batches of JSON records, or single JSON records."""

    batch_rows: int = option(10_000, ge=1, order=4, title="Batch rows")
    """How many records make a batch; an incremental read has a checkpoint after each."""

    partition_rows: int = option(100_000, ge=1, order=5, title="Partition rows")
    """How many records a partition of a full refresh holds."""

    def check(self) -> None:
        """Nothing to check beyond the settings."""

    def discover(self) -> Catalog:
        return Catalog(
            tuple(
                Stream(
                    name,
                    schema={"type": "object", "properties": fields},
                    primary_key=(("id",),),
                    cursor=("updated_at",),
                    source_defined_cursor=True,
                    sync_modes=(SyncMode.full_refresh, SyncMode.incremental),
                )
                for name, fields in FIELDS.items()
            )
        )

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        """Ranges of ticks for a full refresh; one range after the cursor for an incremental read."""
        end = self.updates + self.count
        for stream in streams:
            if stream.incremental:
                since = states.get(stream.key, {}).get("cursor")
                start = max(self.updates, tick(since) + 1 if since else 0)
                yield Partition((stream,), data={"start": start, "stop": end})
            else:
                for start in range(self.updates, end, self.partition_rows):
                    stop = min(start + self.partition_rows, end)
                    yield Partition((stream,), key=f"{start}-{stop}", data={"start": start, "stop": stop})

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream, stop = partition.stream, partition.data["stop"]
        start = partition.data["start"]
        activity.expect(stop - start if stream.incremental else self.count)
        while start < stop:
            # A batch ends at the tick at which the next round of changes begins.
            end = min(start + self.batch_rows, stop, (start // self.count + 1) * self.count)
            columns = self.columns(stream.name, start, end)
            if self.yields == "arrow":
                yield Batch(stream.key, table=table(stream, columns))
            else:
                rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
                if self.yields == "records":
                    yield from rows
                else:
                    yield Batch(stream.key, rows=rows, nbytes=len(rows) * len(orjson.dumps(rows[0])))
            if stream.incremental:
                yield Checkpoint({"cursor": columns["updated_at"][-1]})
            start = end

    def columns(self, stream: str, start: int, stop: int) -> dict[str, list[Any]]:
        """The records of the ticks from `start` to before `stop`, all in the same round of changes, as lists by
        field."""
        version, first = divmod(start, self.count)
        rows = stop - start
        ids = list(range(first + 1, first + 1 + rows))

        def draw(values: Sequence[Any], stride: int = 1, changes: int = 0) -> list[Any]:
            at = (first + self.seed * stride + version * changes) % len(values)
            return list(islice(cycle(values), at, at + rows))

        if stream == "users":
            name = [f"{a} {b}" for a, b in zip(draw(FIRST), draw(LAST, 3), strict=True)]
            email = [f"user{n}@example.{'com' if n % 2 else 'org'}" for n in ids]
            own = {
                "name": name,
                "email": email,
                "age": draw(AGES, 5, 1),
                "height_m": draw(HEIGHTS, 7),
                "active": draw(FLAGS, 2, 1),
                "tags": draw(TAGS, 4, 1),
                "address": draw(ADDRESSES, 6, 1),
            }
        elif stream == "products":
            combinations = list(zip(draw(QUALITIES, 2), draw(MATERIALS, 3), draw(KINDS), strict=True))
            own = {
                "name": [f"{quality} {material} {kind}" for quality, material, kind in combinations],
                "description": [
                    f"A {quality} {kind} made of {material}, number {n} of its line. It comes from {city}."
                    for n, (quality, material, kind), city in zip(ids, combinations, draw(CITIES, 5), strict=True)
                ],
                "price": draw(PRICES, 11, 1),
                "rating": draw(RATINGS, 5, 1),
                "in_stock": draw(FLAGS, 2, 1),
            }
        else:
            quantity, price = draw([1, 2, 1, 3, 5], 2, 1), draw(PRICES, 11)
            own = {
                "user_id": [(n * 7 + self.seed) % self.count + 1 for n in ids],
                "product_id": [(n * 13 + self.seed) % self.count + 1 for n in ids],
                "quantity": quantity,
                "total": [round(n * each, 2) for n, each in zip(quantity, price, strict=True)],
                "note": draw(NOTES, 3, 1),
            }
        return {"id": ids, **own, "created_at": moments(first, first + rows), "updated_at": moments(start, stop)}


def moments(start: int, stop: int) -> list[str]:
    """The times of these ticks, as date-times in UTC."""
    written = []
    while start < stop:
        day, second = divmod(start, len(CLOCK))
        run = CLOCK[second : second + stop - start]
        date = (EPOCH + dt.timedelta(days=day)).date().isoformat()
        written += [date + time for time in run]
        start += len(run)
    return written


CLOCK = [f"T{hour:02}:{minute:02}:{second:02}Z" for hour in range(24) for minute in range(60) for second in range(60)]


def tick(moment: str) -> int:
    return int((dt.datetime.fromisoformat(moment) - EPOCH).total_seconds())


def table(stream: Stream, columns: Mapping[str, list[Any]]) -> pa.Table:
    """The columns as an Arrow table of the stream's types."""
    import pyarrow as pa

    schema = stream.arrow_schema
    arrays = []
    for field in schema:
        moment = pa.types.is_timestamp(field.type)
        array = pa.array(columns[field.name], pa.string() if moment else field.type)
        arrays.append(array.cast(field.type) if moment else array)
    return pa.Table.from_arrays(arrays, schema=schema)
