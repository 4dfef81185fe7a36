"""`kitestring --server URL …`: the same commands against a server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import typer

from kitestring.cli.exit_codes import CANCELLED, REFUSED, SUCCEEDED, SUSPICIOUS, code_of_failure, report_error, worst
from kitestring.cli.global_options import CliContext

if TYPE_CHECKING:
    from kitestring.client import Client
    from kitestring.engine import Result

CODES = {"succeeded": SUCCEEDED, "suspicious": SUSPICIOUS, "cancelled": CANCELLED}


def client(cli: CliContext) -> Client:
    from kitestring.client import Client

    return Client.of(cli.server)


def sync(
    cli: CliContext, names: Sequence[str], streams: Sequence[str], full_refresh: bool, as_json: bool, quiet: bool
) -> int:
    """Run connections of the server, one after the other, and follow their jobs; the exit code."""
    from kitestring.errors import ConfigError

    codes, printed = [], []
    with client(cli) as server:
        connections = list(names) or [
            connection["name"] for connection in server.listed("connection") if connection["status"] == "active"
        ]
        if not connections:
            raise ConfigError(f"{server.url} has no active connection", hint="Create one, or activate one.")
        if streams and not full_refresh:
            raise ConfigError(
                "a sync of a server copies all streams of a connection, and --streams names some",
                hint="Add --full-refresh to read these again, or leave --streams out.",
            )
        for name in connections:
            try:
                code, out = sync_connection(cli, server, name, streams, full_refresh, as_json, quiet)
            except Exception as error:  # noqa: BLE001 - one that cannot run does not keep the others from it
                code, out = report_error(error, cli), {"connection": name, "status": "failed", "error": str(error)}
            codes.append(code)
            printed.append(out)
            if code == CANCELLED:
                break
    if as_json:
        typer.echo(json.dumps(printed[0] if len(printed) == 1 else printed, indent=2))
    return worst(codes)


def sync_connection(
    cli: CliContext, server: Client, name: str, streams: Sequence[str], full_refresh: bool, as_json: bool, quiet: bool
) -> tuple[int, Any]:
    from kitestring.cli import display

    connection = server.connection(name)["connectionId"]
    kind, options = ("refresh", {"streams": list(streams)}) if full_refresh else ("sync", {})
    job = server.run(connection, kind, options)
    progress = JobProgress()
    try:
        with display.live(name, progress, quiet):
            job = server.wait(job["jobId"], progress.follow)
    except KeyboardInterrupt:
        server.cancel(job["jobId"])
        typer.echo(f"Job {job['jobId']} was asked to stop.", err=True)
        raise
    result = result_of(name, job)
    if not as_json:
        display.summary(result, cli.secrets)
    code = code_of_failure(result) if job["status"] == "failed" else CODES[job["status"]]
    return code, {"connection": name, **job}


class JobProgress:
    """The progress of a server's job, as the display polls it."""

    def __init__(self) -> None:
        self._latest: dict[str, Any] = {}
        self._began = time.monotonic()

    def follow(self, job: Mapping[str, Any]) -> None:
        """Take the progress of the job's last attempt."""
        self._latest = (job["history"] or [{}])[-1].get("progress") or self._latest

    def snapshot(self) -> dict[str, Any]:
        streams = {
            name: {"status": "waiting", "read": 0, "written": 0, "bytes": 0, **figures}
            for name, figures in (self._latest.get("streams") or {}).items()
        }
        return {**self._latest, "seconds": round(time.monotonic() - self._began, 1), "streams": streams}


def result_of(name: str, job: Mapping[str, Any]) -> Result:
    """A job of a server that has ended as the result of a sync here: the figures of its attempts added up.

    Of an attempt that another followed only that counts which its checkpoints cover: the other has read the rest again.
    """
    from kitestring.engine import Result
    from kitestring.engine.result import COUNTS, Status, StreamResult

    streams: dict[str, StreamResult] = {}
    for attempt in job["history"]:
        for key, body in (attempt["streams"] or {}).items():
            stream = streams.setdefault(key, StreamResult(key))
            last = attempt is job["history"][-1]
            counts = body if last else (attempt.get("durable") or {}).get(key) or {}
            for field in ("read", *COUNTS):
                setattr(stream, field, getattr(stream, field) + int(counts.get(field, 0)))
            stream.nbytes += int(counts.get("bytes", 0))
            stream.seconds += float(body.get("seconds", 0.0))
            stream.status = Status(body.get("status", "failed"))
            stream.suspicions = list(body.get("suspicions") or ())
            stream.error = error_of(body.get("error"))
            for figure, value in (body.get("figures") or {}).items():
                stream.figures[figure] = stream.figures.get(figure, 0) + value
    result = Result(name, streams, cancelled=job["status"] == "cancelled")
    error = error_of(job["error"])
    if job["status"] == "failed" and error is not None and all(stream.error is None for stream in streams.values()):
        result.error = error
    begun = job["startedAtMs"] or job["createdAtMs"]
    result.seconds = ((job["endedAtMs"] or begun) - begun) / 1000
    return result


def error_of(body: Mapping[str, Any] | None) -> Any:
    """An error of the server's answer, as one of ours."""
    from kitestring import errors

    if not body:
        return None
    kind = getattr(errors, str(body.get("type")), errors.KitestringError)
    return kind(str(body.get("message") or "no reason was given"), hint=str(body.get("hint") or ""))


def check(cli: CliContext, names: Sequence[str], as_json: bool) -> int:
    """Test sources and destinations of the server, all without names; the exit code."""
    from kitestring.errors import ConfigError

    answers = []
    with client(cli) as server:
        kinds: tuple[Literal["source", "destination"], ...] = ("source", "destination")
        endpoints = [(kind, endpoint) for kind in kinds for endpoint in server.listed(kind)]
        targets = [
            (kind, endpoint)
            for kind, endpoint in endpoints
            if not names or {endpoint["name"], endpoint[f"{kind}Id"]} & set(names)
        ]
        known_names = {endpoint["name"] for _, endpoint in endpoints} | {
            endpoint[f"{kind}Id"] for kind, endpoint in endpoints
        }
        for name in names:
            if name not in known_names:
                raise ConfigError(f"{server.url} has no source or destination {name}", hint="Look at its lists.")
        for kind, endpoint in targets:
            answer = server.check(kind, endpoint[f"{kind}Id"])
            answers.append({"kind": kind, "name": endpoint["name"], **answer})
            if not as_json:
                typer.echo(f"{'ok' if answer['status'] == 'succeeded' else 'failed':7} {kind} {endpoint['name']}")
                for line in (answer["message"], answer["hint"]) if answer["status"] != "succeeded" else ():
                    typer.echo(f"        {line}")
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    return SUCCEEDED if all(endpoint["status"] == "succeeded" for endpoint in answers) else REFUSED


class ServerStates:
    """The states of a server's connections, by name, as a `StateStore`; the server keeps them from running jobs."""

    def __init__(self, server: Client) -> None:
        self.server = server

    def load(self, connection: str) -> dict[str, Any]:
        return self.server.states(self.server.connection(connection)["connectionId"])

    def save(self, connection: str, stream: str, state: Mapping[str, Any]) -> None:
        self.server.put_states(self.server.connection(connection)["connectionId"], {stream: state})

    def clear(self, connection: str, stream: str | None = None) -> None:
        self.server.reset_state(self.server.connection(connection)["connectionId"], stream or "")

    def connections(self) -> list[str]:
        every = self.server.listed("connection")
        return sorted(connection["name"] for connection in every if self.server.states(connection["connectionId"]))

    def lock(self, connection: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def search(cli: CliContext, query: Sequence[str], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ask a collection of the server: that of a connection, a destination, or the only destination there is."""
    with client(cli) as server:
        place = place_of(server, query[0] if len(query) == 2 else "", "kitestring search NAME TEXT")
        return server.search(place, {**body_of(question), "text": query[-1]})


def ask(cli: CliContext, query: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the server to a question, from a collection as in `search`."""
    with client(cli) as server:
        place = place_of(server, query[0] if len(query) == 2 else "", "kitestring ask NAME QUESTION")
        return server.ask(place, {**body_of(options), "question": query[-1]})


def similar(cli: CliContext, name: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records that resemble a text or records, from a collection as in `search`."""
    with client(cli) as server:
        return server.similar(place_of(server, name, "kitestring similar NAME TEXT"), body_of(options))


def place_of(server: Client, name: str, usage: str) -> str:
    """The id of a destination: that of a connection, one by its name, or the only one."""
    from kitestring.errors import ConfigError

    if name:
        for connection in server.listed("connection"):
            if name in (connection["name"], connection["connectionId"]):
                return str(connection["destinationId"])
        return str(server.named("destination", name)["destinationId"])
    destinations = list(server.listed("destination"))
    if len(destinations) != 1:
        raise ConfigError(f"{server.url} has {len(destinations)} destinations", hint=f"Name one: {usage}.")
    return str(destinations[0]["destinationId"])


def body_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options under the names of the API."""
    names = {"include_deleted": "includeDeleted", "per_record": "perRecord"}
    return {names.get(name, name): value for name, value in options.items()}
