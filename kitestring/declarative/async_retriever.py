"""`AsyncRetriever`: requests a report, polls until it is ready, and downloads its files."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kitestring.declarative.decoder import JsonDecoder
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.page import Page
from kitestring.declarative.paginator import Headers
from kitestring.declarative.partition_router import router
from kitestring.declarative.selector import CursorFilter
from kitestring.declarative.slice import Slice
from kitestring.errors import ConfigError, TransientError
from kitestring.types import Reject

log = logging.getLogger("kitestring.declarative")

ATTEMPTS = 3
FIRST_POLL_S, LONGEST_POLL_S = 0.5, 10.0
NOT_A_VALUE = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""Texts of a report that mean no value: those that pandas.read_csv takes for missing."""


@keyword("AsyncJobStatusMap")
class AsyncJobStatusMap:
    """The API's status words for running, completed, failed, timeout and skipped."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._meaning: dict[str, str] = {}
        for meaning in ("running", "completed", "failed", "timeout", "skipped"):
            if meaning != "skipped":
                node.need(meaning)
            for status in node.items(meaning):
                if str(status) in self._meaning:
                    raise node.error(f"{status} is listed under {self._meaning[str(status)]} too", meaning)
                self._meaning[str(status)] = meaning
        self._node = node

    def __getitem__(self, status: Any) -> str:
        if str(status) not in self._meaning:
            raise ConfigError(
                f"the API reports the status {status!r}, which the manifest does not map",
                hint=f"Add this status to {self._node.path}.",
            )
        return self._meaning[str(status)]


@keyword("ResponseToFileExtractor")
class ResponseToFileExtractor:
    """The rows of a CSV report, packed with gzip or not: a `download_extractor`."""

    def __init__(self, node: Node, **_: Any) -> None: ...

    def records(self, bodies: list[Any]) -> list[Any]:
        return bodies

    def doubt(self, bodies: list[Any], names: Collection[str], listed: bool, had_records: bool) -> str:
        return ""


@keyword("AsyncRetriever")
class AsyncRetriever:
    """One job for each slice: create, poll until it is completed, download, delete."""

    def __init__(
        self,
        node: Node,
        name: str = "",
        transformations: list[Any] | None = None,
        cursor: Any = None,
        schema: Any = None,
        **_: Any,
    ) -> None:
        self.node, self.name = node, name
        self.router: Any = router(node)
        self._connection = node.context.connection
        self._decoder: Any = node.child("decoder") or JsonDecoder()
        verify = JsonDecoder.verify if isinstance(self._decoder, JsonDecoder) else None

        def requester(field: str) -> Any:
            return node.child(field, "HttpRequester", name=name, verify=verify)

        for needed in ("creation_requester", "polling_requester", "download_requester"):
            node.need(needed)
        self._creation, self._polling = requester("creation_requester"), requester("polling_requester")
        self._target = requester("download_target_requester")
        self._abort, self._delete = requester("abort_requester"), requester("delete_requester")
        self._status = node.needed_child("status_extractor", "DpathExtractor")
        self._meaning: AsyncJobStatusMap = node.needed_child("status_mapping", "AsyncJobStatusMap")
        self._targets = node.child("download_target_extractor", "DpathExtractor")
        if self._target is not None and self._targets is None:
            raise node.error("`download_target_requester` needs a `download_target_extractor`")
        self._timeout_s = (node.number("polling_job_timeout") or 60.0) * 60
        self._retry_wait_s = node.number("failed_retry_wait_time_in_seconds") or 0.0
        self._download = self._downloader(node)
        self._selector = node.needed_child(
            "record_selector",
            "RecordSelector",
            transformations=transformations,
            transform_first=bool(cursor is not None and cursor.client_side),
            schema=schema,
        )

    def _downloader(self, node: Node) -> Any:
        extractor = node.get("download_extractor") or {"type": "DpathExtractor", "field_path": []}
        decoder = node.get("download_decoder")
        if extractor.get("type") == "ResponseToFileExtractor":
            nothing = [""] if extractor.get("preserve_na_values") else list(NOT_A_VALUE)
            decoder = {"type": "GzipDecoder", "decoder": {"type": "CsvDecoder", "set_values_to_none": nothing}}
        values = {
            "type": "SimpleRetriever",
            "requester": node.values["download_requester"],
            "record_selector": {"type": "RecordSelector", "extractor": extractor},
            "paginator": node.get("download_paginator"),
            "decoder": decoder,
        }
        return node.at(values, "download").build(name=self.name)

    def pages(self, part: Slice, cursor_filter: CursorFilter | None = None) -> Iterator[Page]:
        attempt = 1
        while True:
            job = Slice(part.partition, part.cursor_slice, part.extra_fields)
            with self._slot():
                meaning = self._run(job)
            if meaning in ("completed", "skipped"):
                break
            if attempt >= ATTEMPTS:
                raise TransientError(
                    f"stream {self.name}: the report ended as {meaning} {attempt} times", hint="Try again later."
                )
            log.warning("the report of %s ended as %s, requesting it again", self.name, meaning)
            self._connection.pause(self._retry_wait_s)
            attempt += 1
        if meaning == "completed":
            for target in self._download_targets(job):
                file = Slice(job.partition, job.cursor_slice, {**job.extra_fields, "download_target": target})
                for page in self._download.pages(file):
                    records, rejects = self._selector.select(page.records, part, None, cursor_filter)
                    yield Page(records, [*page.rejects, *rejects], page.nbytes, page.doubt)
            if self._delete is not None:
                self._delete.send(job)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """One of the jobs the source may have at a time (`max_concurrent_async_job_count`, 1 without it)."""
        slots: threading.BoundedSemaphore | None = self.node.context.values.get("jobs")
        wait_s = 0.02
        while slots is not None and not slots.acquire(blocking=False):
            self._connection.pause(wait_s)
            wait_s = min(wait_s * 1.5, 1.0)
        try:
            yield
        finally:
            if slots is not None:
                slots.release()

    def _run(self, job: Slice) -> str:
        """Create a job and wait for its end. Its responses go into `job.extra_fields`, where templates read them."""
        job.extra_fields["creation_response"] = self._template_values(self._creation.send(job)[0])
        began, wait_s = time.monotonic(), FIRST_POLL_S
        while True:
            response, _ = self._polling.send(job)
            statuses = self._status.records(self._bodies(response))
            meaning = self._meaning[statuses[0] if statuses else None]
            if meaning != "running":
                job.extra_fields["polling_response"] = self._template_values(response)
                return meaning
            if time.monotonic() - began + wait_s > self._timeout_s:
                if self._abort is not None:
                    self._abort.send(job)
                return "timeout"
            self._connection.pause(wait_s)
            wait_s = min(wait_s * 1.5, LONGEST_POLL_S)

    def _download_targets(self, job: Slice) -> list[Any]:
        if self._targets is None:
            return [""]
        if self._target is None:
            return list(self._targets.records([job.extra_fields["polling_response"]]))
        return list(self._targets.records(self._bodies(self._target.send(job)[0])))

    def _bodies(self, response: Any) -> list[Any]:
        if response.status >= 400:
            raise ConfigError(f"stream {self.name}: a request for the report returned status {response.status}")
        bodies = (body for run in self._decoder.bodies(response) for body in run)
        return [body for body in bodies if not isinstance(body, Reject)]

    def _template_values(self, response: Any) -> dict[str, Any]:
        """A response as templates see it, with its headers."""
        body: Any = next(iter(self._bodies(response)), {})
        values = dict(body) if isinstance(body, Mapping) else {"body": body}
        values.setdefault("headers", Headers(response.headers))
        return values
