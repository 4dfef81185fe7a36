"""`kitestring --server URL …`: the same verbs against a server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import typer

from kitestring.cli.exit_codes import CANCELLED, REFUSED, SUCCEEDED, SUSPICIOUS, code_of_failure, failed, worst
from kitestring.cli.global_options import Given

if TYPE_CHECKING:
    from kitestring.client import Client
    from kitestring.engine import Progress, Result

CODES = {"succeeded": SUCCEEDED, "suspicious": SUSPICIOUS, "cancelled": CANCELLED}


def client(given: Given) -> Client:
    from kitestring.client import Client

    return Client.of(given.server)


def sync(
    given: Given, names: Sequence[str], streams: Sequence[str], full_refresh: bool, as_json: bool, quiet: bool
) -> int:
    """Run connections of the server, one after the other, and follow their jobs; the exit code."""
    from kitestring.errors import ConfigError

    codes, printed = [], []
    with client(given) as server:
        wanted = list(names) or [one["name"] for one in server.listed("connection") if one["status"] == "active"]
        if not wanted:
            raise ConfigError(f"{server.url} has no active connection", hint="Create one, or activate one.")
        if streams and not full_refresh:
            raise ConfigError(
                "a sync of a server copies all streams of a connection, and --streams names some",
                hint="Add --full-refresh to read these anew, or leave --streams out.",
            )
        for name in wanted:
            try:
                code, out = one(given, server, name, streams, full_refresh, as_json, quiet)
            except Exception as error:  # noqa: BLE001 - one that cannot run does not keep the others from it
                code, out = failed(error, given), {"connection": name, "status": "failed", "error": str(error)}
            codes.append(code)
            printed.append(out)
            if code == CANCELLED:
                break
    if as_json:
        typer.echo(json.dumps(printed[0] if len(printed) == 1 else printed, indent=2))
    return worst(codes)


def one(
    given: Given, server: Client, name: str, streams: Sequence[str], full_refresh: bool, as_json: bool, quiet: bool
) -> tuple[int, Any]:
    from kitestring.cli import display
    from kitestring.engine import Progress

    connection = server.connection(name)["connectionId"]
    kind, options = ("refresh", {"streams": list(streams)}) if full_refresh else ("sync", {})
    job = server.run(connection, kind, options)
    progress = Progress()
    try:
        with display.live(name, progress, quiet):
            job = server.wait(job["jobId"], lambda now: follow(progress, now))
    except KeyboardInterrupt:
        server.cancel(job["jobId"])
        typer.echo(f"Job {job['jobId']} was asked to stop.", err=True)
        raise
    result = result_of(name, job)
    if not as_json:
        display.summary(result, given.secrets)
    code = code_of_failure(result) if job["status"] == "failed" else CODES[job["status"]]
    return code, {"connection": name, **job}


def follow(progress: Progress, job: Mapping[str, Any]) -> None:
    """Put what the server says of a running job into the counters that a display polls."""
    from kitestring.engine.progress import StreamProgress

    latest = (job["history"] or [{}])[-1].get("progress") or {}
    for name, one in (latest.get("streams") or {}).items():
        shown = progress.streams.setdefault(name, StreamProgress())
        shown.read, shown.written, shown.nbytes = one.get("read", 0), one.get("written", 0), one.get("bytes", 0)
        shown.status, shown.lag_s = one.get("status", "waiting"), one.get("lag_s")
        if shown.status != "waiting":
            shown.started = shown.started or time.monotonic()


def result_of(name: str, job: Mapping[str, Any]) -> Result:
    """A job of a server that has ended as the result of a sync here: the figures of its attempts added up.

    Of an attempt that another followed only that counts which its checkpoints cover: the other has read the rest again.
    """
    from kitestring.engine import Result
    from kitestring.engine.result import COUNTS, Status, StreamResult

    streams: dict[str, StreamResult] = {}
    for attempt in job["history"]:
        for key, told in (attempt["streams"] or {}).items():
            shown = streams.setdefault(key, StreamResult(key))
            last = attempt is job["history"][-1]
            counts = told if last else (attempt.get("durable") or {}).get(key) or {}
            for field in ("read", *COUNTS):
                setattr(shown, field, getattr(shown, field) + int(counts.get(field, 0)))
            shown.nbytes += int(counts.get("bytes", 0))
            shown.seconds += float(told.get("seconds", 0.0))
            shown.status = Status(told.get("status", "failed"))
            shown.suspicions = list(told.get("suspicions") or ())
            shown.error = error_of(told.get("error"))
            for figure, value in (told.get("figures") or {}).items():
                shown.figures[figure] = shown.figures.get(figure, 0) + value
    result = Result(name, streams, cancelled=job["status"] == "cancelled")
    told = error_of(job["error"])
    if job["status"] == "failed" and told is not None and all(one.error is None for one in streams.values()):
        result.error = told
    begun = job["startedAtMs"] or job["createdAtMs"]
    result.seconds = ((job["endedAtMs"] or begun) - begun) / 1000
    return result


def error_of(told: Mapping[str, Any] | None) -> Any:
    """An error that the server told, as one of ours."""
    from kitestring import errors

    if not told:
        return None
    kind = getattr(errors, str(told.get("type")), errors.KitestringError)
    return kind(str(told.get("message") or "no reason was given"), hint=str(told.get("hint") or ""))


def check(given: Given, names: Sequence[str], as_json: bool) -> int:
    """Test sources and destinations of the server, all without names; the exit code."""
    from kitestring.errors import ConfigError

    answers = []
    with client(given) as server:
        kinds: tuple[Literal["source", "destination"], ...] = ("source", "destination")
        every = [(kind, one) for kind in kinds for one in server.listed(kind)]
        wanted = [(kind, one) for kind, one in every if not names or {one["name"], one[f"{kind}Id"]} & set(names)]
        known = {one["name"] for _, one in every} | {one[f"{kind}Id"] for kind, one in every}
        for name in names:
            if name not in known:
                raise ConfigError(f"{server.url} has no source or destination {name}", hint="Look at its lists.")
        for kind, one in wanted:
            told = server.check(kind, one[f"{kind}Id"])
            answers.append({"kind": kind, "name": one["name"], **told})
            if not as_json:
                typer.echo(f"{'ok' if told['status'] == 'succeeded' else 'failed':7} {kind} {one['name']}")
                for line in (told["message"], told["hint"]) if told["status"] != "succeeded" else ():
                    typer.echo(f"        {line}")
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    return SUCCEEDED if all(one["status"] == "succeeded" for one in answers) else REFUSED


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
        return sorted(one["name"] for one in every if self.server.states(one["connectionId"]))

    def lock(self, connection: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def search(given: Given, words: Sequence[str], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ask a collection of the server: that of a connection, a destination, or the only destination there is."""
    from kitestring.errors import ConfigError

    with client(given) as server:
        if len(words) == 2:
            found = [one for one in server.listed("connection") if words[0] in (one["name"], one["connectionId"])]
            place = found[0]["destinationId"] if found else server.named("destination", words[0])["destinationId"]
        else:
            every = list(server.listed("destination"))
            if len(every) != 1:
                raise ConfigError(
                    f"{server.url} has {len(every)} destinations", hint="Name one: kitestring search NAME TEXT."
                )
            place = every[0]["destinationId"]
        fields = {"includeDeleted" if name == "include_deleted" else name: value for name, value in question.items()}
        return server.search(place, {**fields, "text": words[-1]})
