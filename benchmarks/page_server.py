"""A local API that costs almost nothing: pages of records, encoded beforehand, over keep-alive connections.

python benchmarks/page_server.py --records 100000     prints its port, serves /records?page=1&per_page=100
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re

TARGET = re.compile(rb"GET /records\?(\S*) HTTP/1.1")


def record(number: int) -> dict[str, object]:
    """About 310 bytes as JSON."""
    return {
        "id": number,
        "subject": f"Ticket number {number} about something that does not work",
        "description": "The printer on the second floor says PC LOAD LETTER again. " * 2,
        "status": ("new", "open", "pending", "solved")[number % 4],
        "requester_id": number % 997,
        "tags": ["printer", "floor-2"],
        "updated_at": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T12:00:00Z",
    }


class Pages(asyncio.Protocol):
    def __init__(self, records: int, encoded: dict[tuple[int, int], bytes]) -> None:
        self.records = records
        self.encoded = encoded
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while b"\r\n\r\n" in self.rest:
            head, _, self.rest = self.rest.partition(b"\r\n\r\n")
            target = TARGET.match(head)
            query = dict(part.split(b"=") for part in target.group(1).split(b"&")) if target else {}
            body = self.page(int(query.get(b"page", 1)), int(query.get(b"per_page", 100)))
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )

    def page(self, page: int, size: int) -> bytes:
        start = (page - 1) * size
        stop = min(start + size, self.records)
        # A million records are served from the first hundred thousand, so that the server stays small.
        key = (start % 100_000, size)
        if stop - start < size:
            return encode(range(start, stop))
        if key not in self.encoded:
            self.encoded[key] = encode(range(key[0], key[0] + size))
        return self.encoded[key]


def encode(numbers: range) -> bytes:
    return json.dumps({"data": [record(n) for n in numbers]}).encode()


async def main(records: int) -> None:
    encoded: dict[tuple[int, int], bytes] = {}
    for size in (100, 1000):
        for start in range(0, min(records, 100_000), size):
            encoded[(start, size)] = encode(range(start, start + size))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Pages(records, encoded), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    asyncio.run(main(parser.parse_args().records))
