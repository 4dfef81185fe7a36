"""A client of a Kitestring server. Its methods take names or ids.

client = Client("http://127.0.0.1:8000")
job = client.run(client.connection("helpdesk")["connectionId"])
client.wait(job["jobId"])
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Self

from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.http import Session
from kitestring.http.auth import Auth, Basic, Bearer
from kitestring.http.message import Response
from kitestring.http.retry import Raise, Retries, Retry, Return
from kitestring.json_codec import loads
from kitestring.suggest import did_you_mean

Kind = Literal["source", "destination", "connection"]
PUBLIC = "/api/public/v1"
OWN = "/api/kitestring/v1"
ENDED = ("succeeded", "suspicious", "failed", "cancelled")
POLL_S = 0.5
PAGE = 100


class Client:
    """A client of the server at `url`, with a token, with an application's id and secret, or without credentials.

    `ConfigError`, `AuthError` and `TransientError` carry the server's own sentence and next action.
    """

    def __init__(self, url: str, *, token: str = "", client_id: str = "", client_secret: str = "") -> None:
        self.url = url.rstrip("/")
        if "://" not in self.url:
            raise ConfigError(f"{url} is not an address of a server", hint="Write http://127.0.0.1:8000.")
        auth: Auth | None = Bearer(token) if token else Basic(client_id, client_secret) if client_id else None
        self.http = Session(base_url=self.url, auth=auth, policy=Calls(self.url), timeout_s=330.0, max_wait_s=60.0)

    @classmethod
    def of(cls, url: str, environment: Mapping[str, str] = os.environ) -> Self:
        """Credentials come from the environment: KITESTRING_TOKEN, or KITESTRING_CLIENT_ID and …_CLIENT_SECRET."""
        return cls(
            url,
            token=environment.get("KITESTRING_TOKEN", ""),
            client_id=environment.get("KITESTRING_CLIENT_ID", ""),
            client_secret=environment.get("KITESTRING_CLIENT_SECRET", ""),
        )

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Call the server. The decoded answer; None if it has no body."""
        query = {name: value for name, value in params.items() if value is not None}
        answer = self.http.request(method, path, params=query, json=body)
        return loads(answer.body) if answer.body else None

    # -- nouns ---------------------------------------------------------------------------------------------------------

    def listed(self, kind: Kind | Literal["workspace"]) -> Iterator[dict[str, Any]]:
        """All sources, destinations, connections or workspaces that the caller may see."""
        offset = 0
        while True:
            data = self.call("GET", f"{PUBLIC}/{kind}s", limit=PAGE, offset=offset)["data"]
            yield from data
            if len(data) < PAGE:
                return
            offset += PAGE

    def named(self, kind: Kind, name_or_id: str) -> dict[str, Any]:
        """The resource with this id or name. `ConfigError` if there is none (with the nearest name) or several."""
        resources = list(self.listed(kind))
        matches = [each for each in resources if name_or_id in (each[f"{kind}Id"], each["name"])]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ConfigError(
                f"{self.url} has {len(matches)} {kind}s called {name_or_id}",
                hint=f"Name one by its id: {', '.join(each[f'{kind}Id'] for each in matches)}.",
            )
        names = [each["name"] for each in resources]
        raise ConfigError(
            f"{self.url} has no {kind} {name_or_id}{did_you_mean(name_or_id, names)}",
            hint=f"It has: {', '.join(names[:20]) or 'none'}.",
        )

    def connection(self, name_or_id: str) -> dict[str, Any]:
        return self.named("connection", name_or_id)

    def check(self, kind: Literal["source", "destination"], ident: str) -> dict[str, Any]:
        """Test a source or destination: `{"status", "message", "hint"}`."""
        return dict(self.call("POST", f"{OWN}/{kind}s/{ident}/check"))

    def discover(self, source_id: str) -> dict[str, Any]:
        """The current catalog of a source."""
        return dict(self.call("POST", f"{OWN}/sources/{source_id}/discover"))

    def search(
        self, destination_id: str, question: Mapping[str, Any], *, on_behalf_of: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """The nearest chunks, best first. `on_behalf_of`: the attributes of the reader, where the application reads for
        others: `{"user": "ann", "groups": ["support"]}`."""
        return list(self._read(destination_id, "search", question, on_behalf_of)["data"])

    def ask(
        self, destination_id: str, question: Mapping[str, Any], *, on_behalf_of: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole answer to a question, from what was synced. `on_behalf_of` as in `search`."""
        return dict(self._read(destination_id, "ask", question, on_behalf_of))

    def similar(
        self, destination_id: str, request: Mapping[str, Any], *, on_behalf_of: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """The records that resemble a text or records, best first. `on_behalf_of` as in `search`."""
        return list(self._read(destination_id, "similar", request, on_behalf_of)["data"])

    def _read(self, destination_id: str, verb: str, body: Mapping[str, Any], reader: Mapping[str, Any] | None) -> Any:
        headers = None if reader is None else {"Kitestring-On-Behalf-Of": json.dumps(dict(reader))}
        path = f"{OWN}/destinations/{destination_id}/{verb}"
        return loads(self.http.request("POST", path, headers=headers, json=dict(body)).body)

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def run(self, connection_id: str, kind: str = "sync", options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Start a job: sync, refresh, clear or backfill."""
        body = None if kind == "sync" else dict(options or {})
        return dict(self.call("POST", f"{OWN}/connections/{connection_id}/{kind}", body))

    def job(self, job_id: int) -> dict[str, Any]:
        """A job with its attempts."""
        return dict(self.call("GET", f"{OWN}/jobs/{job_id}"))

    def jobs(self, **filters: Any) -> list[dict[str, Any]]:
        """Jobs, newest first: `connectionId`, `status`, `kind`, `limit`, `before`."""
        return list(self.call("GET", f"{OWN}/jobs", **filters)["data"])

    def cancel(self, job_id: int) -> dict[str, Any]:
        return dict(self.call("POST", f"{OWN}/jobs/{job_id}/cancel"))

    def log(self, job_id: int, attempt: int, **filters: Any) -> Iterator[dict[str, Any]]:
        """The entries of an attempt's log: `level`, `text`."""
        place, has_more = 0, True
        while has_more:
            page = self.call("GET", f"{OWN}/jobs/{job_id}/attempts/{attempt}/log", place=place, **filters)
            yield from page["entries"]
            place, has_more = page["place"], page["more"]

    def wait(self, job_id: int, see: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """Wait for the end of a job. `see` gets the job at every poll."""
        while True:
            job = self.job(job_id)
            if see is not None:
                see(job)
            if job["status"] in ENDED:
                return job
            time.sleep(POLL_S)

    # -- states --------------------------------------------------------------------------------------------------------

    def states(self, connection_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"{OWN}/connections/{connection_id}/state")["states"])

    def put_states(self, connection_id: str, states: Mapping[str, Any]) -> None:
        self.call("PUT", f"{OWN}/connections/{connection_id}/state", {"states": dict(states)})

    def accept_deletions(self, connection_id: str) -> None:
        self.call("POST", f"{OWN}/connections/{connection_id}/deletions/accept")

    def reset_state(self, connection_id: str, stream: str = "") -> None:
        self.call("DELETE", f"{OWN}/connections/{connection_id}/state", stream=stream or None)


class Calls(Retries):
    """Retries calls that are safe to retry, and turns the server's problems into errors with its own sentences."""

    def __init__(self, url: str) -> None:
        super().__init__(attempts=3)
        self.url = url

    def judge(self, attempt: int, response: Response | None, error: Exception | None) -> Return | Retry | Raise:
        if response is None:
            verdict = super().judge(attempt, response, error)
            if isinstance(verdict, Raise) and isinstance(verdict.error, TransientError):
                return Raise(
                    TransientError(
                        f"the server {self.url} does not answer", hint="Check its address, and that it runs."
                    )
                )
            return verdict
        if response.status < 400:
            return Return()
        if response.status in (429, 503) and attempt < self.attempts:
            return super().judge(attempt, response, error)
        return Raise(problem(self.url, response))


def problem(url: str, response: Response) -> KitestringError:
    """The server's answer as an error."""
    try:
        body = loads(response.body)
        data = body.get("data") or {}
        hint, message = str(data.get("hint") or ""), str(body["detail"])
    except (ValueError, TypeError, KeyError, AttributeError):
        message, hint, data = f"{url} answered {response.status}", "Is this the address of a Kitestring server?", {}
    message = message.removesuffix(hint).rstrip(" .") if hint else message.rstrip(".")
    if response.status == 401:
        return AuthError(
            message, hint=hint or "Set KITESTRING_TOKEN, or KITESTRING_CLIENT_ID and KITESTRING_CLIENT_SECRET."
        )
    if response.status == 403:
        return AuthError(message, hint=hint)
    if response.status >= 500:
        return TransientError(message, hint=hint or "Look at the server's log.", status=response.status)
    return ConfigError(message, hint=hint, status=response.status, **{k: v for k, v in data.items() if k == "jobId"})
