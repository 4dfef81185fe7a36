"""A stand-in for an API that nobody knows: a carrier of parcels with depots, their lockers, and a search of parcels.

By hand: `python -m stand_ins.harbour --port 8080` prints its address; `/docs` is its documentation, as a vendor writes
it. The key is harbour-key-2718. Parcels are asked for with POST: the page is in the JSON body.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
KEY = "harbour-key-2718"
PARCELS, DEPOTS, LOCKERS = 130, 6, 4
LARGEST_PAGE = 50
HOUR = 3600
DOCS = """<!doctype html>
<html lang="en"><head><title>Harbour API</title></head><body>
<h1>Harbour API, version 2</h1>
<p>Harbour carries parcels between depots. With this API you read what is on its way.</p>
<h2>Authentication</h2>
<p>Send your key in the header <code>X-Harbour-Key</code>. It stands in your account under Integrations. Without a key,
or with a wrong one, the API answers 401.</p>
<h2>Depots</h2>
<p><code>GET {url}/v2/depots</code> lists all depots. <code>GET {url}/v2/depots/CODE/lockers</code> lists the lockers of
one.</p>
<pre>{{"depots": [{{"code": "D1", "city": "Lübeck", "opened_on": "2019-04-01"}}, …]}}</pre>
<h2>Parcels</h2>
<p>Parcels are searched:</p>
<pre>curl -X POST {url}/v2/parcels/search \\
  -H 'X-Harbour-Key: YOUR_KEY' -H 'Content-Type: application/json' \\
  -d '{{"filter": {{"state": "any"}}, "page": {{"number": 1, "size": 25}}}}'</pre>
<p>The answer has the parcels of one page, and how many pages there are. A page has at most 50 parcels.</p>
<pre>{{"result": {{"parcels": [{{"id": "HB00001", "title": "…", "text": "…", "changed_at": "2026-01-05T09:00:00Z"}}, …],
 "pages": 6}}}}</pre>
<p><code>filter.changed_after</code> leaves out parcels that have not changed since a time.</p>
</body></html>
"""


class HarbourStandIn(PagedApi):
    """`parcels` are those behind the search, `depots` and `lockers` the lists."""

    name: ClassVar[str] = "harbour"
    refusals: ClassVar[dict[int, str]] = {401: "X-Harbour-Key is missing or wrong"}
    reports_limits: ClassVar[bool] = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        texts = problems()
        self.parcels: list[Json] = [
            {
                "id": f"HB{number:05}",
                "title": f"Parcel {number}: {texts[number % len(texts)].title}",
                "text": texts[number % len(texts)].symptom,
                "state": "arrived" if number % 3 else "on its way",
                "depot": f"D{number % DEPOTS + 1}",
                "changed_at": iso(BEGIN + number * HOUR),
            }
            for number in range(1, PARCELS + 1)
        ]
        cities = ("Lübeck", "Kiel", "Rostock", "Stade", "Emden", "Husum")
        self.depots: list[Json] = [
            {"code": f"D{number}", "city": cities[number - 1], "opened_on": f"20{number + 10}-04-01"}
            for number in range(1, DEPOTS + 1)
        ]
        self.lockers: list[Json] = [
            {"locker_id": f"{depot['code']}-{number}", "depot": depot["code"], "free": number % 2 == 0}
            for depot in self.depots
            for number in range(1, LOCKERS + 1)
        ]

    def admits(self, call: Call) -> bool:
        return call.path == "/docs" or call.headers.get("x-harbour-key") == KEY

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"error": message})

    @route("GET", "/docs")
    def docs(self, call: Call) -> Answer:
        return Answer(200, DOCS.format(url=self.url).encode(), {"Content-Type": "text/html; charset=utf-8"})

    @route("GET", "/v2/depots")
    def all_depots(self, call: Call) -> Json:
        return {"depots": self.depots}

    @route("GET", "/v2/depots/{code}/lockers")
    def lockers_of(self, call: Call, code: str) -> Any:
        if code not in {depot["code"] for depot in self.depots}:
            return self.refuse(404, f"there is no depot {code}")
        return {"lockers": [locker for locker in self.lockers if locker["depot"] == code]}

    @route("POST", "/v2/parcels/search")
    def search(self, call: Call) -> Any:
        body = call.json()
        page, wanted = body.get("page") or {}, body.get("filter") or {}
        number, size = page.get("number", 1), min(page.get("size", 25), LARGEST_PAGE)
        if not isinstance(number, int) or number < 1:
            return self.refuse(400, "page.number is a whole number from 1")
        since, state = wanted.get("changed_after") or "", wanted.get("state", "any")
        rows = [row for row in self.parcels if row["changed_at"] >= since and state in ("any", row["state"])]
        return {"result": {"parcels": rows[(number - 1) * size : number * size], "pages": -(-len(rows) // size)}}


if __name__ == "__main__":
    run(HarbourStandIn)
