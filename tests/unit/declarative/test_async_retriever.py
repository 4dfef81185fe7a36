"""Reports that the API makes on request."""

from __future__ import annotations

import gzip
import threading
from typing import Any

import pytest
from loopback import Api, Open, cursor, sync

from kitestring.declarative import async_retriever
from kitestring.errors import Cancelled, ConfigError, TransientError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_retriever, "FIRST_POLL_S", 0.01)


STATUS = {
    "type": "AsyncJobStatusMap",
    "running": ["busy"],
    "completed": ["done"],
    "failed": ["broken"],
    "timeout": [],
    "skipped": ["none"],
}


def report(api: Api, **more: Any) -> dict[str, Any]:
    def requester(path: str, **parts: Any) -> dict[str, Any]:
        return {"type": "HttpRequester", "url_base": api.url, "path": path, **parts}

    retriever = {
        "type": "AsyncRetriever",
        "creation_requester": requester(
            "/reports", http_method="POST", request_body_json={"from": "{{ stream_interval.start_time }}"}
        ),
        "polling_requester": requester("/reports/{{ creation_response['id'] }}"),
        "download_requester": requester("{{ download_target }}"),
        "delete_requester": requester("/reports/{{ creation_response['id'] }}/delete", http_method="POST"),
        "status_extractor": {"type": "DpathExtractor", "field_path": ["status"]},
        "download_target_extractor": {"type": "DpathExtractor", "field_path": ["urls"]},
        "download_extractor": {"type": "ResponseToFileExtractor"},
        "status_mapping": STATUS,
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": []},
            "record_filter": {"type": "RecordFilter", "condition": "{{ record.id != '3' }}"},
        },
        **more,
    }
    api.answers.setdefault("/reports", {"id": 7})
    api.answers.setdefault("/reports/7", [{"status": "busy"}, {"status": "done", "urls": ["/file/a", "/file/b"]}])
    api.answers.setdefault("/reports/7/delete", {})
    api.answers.setdefault("/file/a", (200, b"id,updated_at\n1,2024-02-01T00:00:00Z\n"))
    api.answers.setdefault("/file/b", (200, gzip.compress(b"id,updated_at\n2,NULL\n3,x\n")))
    return {"type": "DeclarativeStream", "name": "things", "retriever": retriever, "incremental_sync": cursor()}


def test_a_report_is_asked_for_awaited_read_and_deleted(api: Api, open_source: Open) -> None:
    result = sync(open_source(report(api)))
    assert result.records == [{"id": "1", "updated_at": "2024-02-01T00:00:00Z"}, {"id": "2", "updated_at": None}]
    assert result.state == {"updated_at": "2024-02-01T00:00:00Z"}
    assert api.calls[0].json == {"from": "2024-01-01T00:00:00Z"}
    assert api.paths() == ["/reports", "/reports/7", "/reports/7", "/file/a", "/file/b", "/reports/7/delete"]


def test_a_report_that_fails_is_asked_for_again(api: Api, open_source: Open) -> None:
    api.answers["/reports/7"] = [{"status": "broken"}, {"status": "done", "urls": []}]
    assert sync(open_source(report(api))).records == []
    assert api.paths().count("/reports") == 2
    api.answers["/reports/7"] = {"status": "broken"}
    with pytest.raises(TransientError, match="ended as failed 3 times"):
        sync(open_source(report(api)))


def test_a_report_that_the_api_skips_has_no_records(api: Api, open_source: Open) -> None:
    api.answers["/reports/7"] = {"status": "none"}
    assert sync(open_source(report(api))).records == []
    assert api.paths() == ["/reports", "/reports/7"]


def test_a_report_that_takes_too_long_is_given_up(api: Api, open_source: Open) -> None:
    api.answers.update({"/reports/7": {"status": "busy"}, "/abort": {}})
    abort = {"type": "HttpRequester", "url_base": api.url, "path": "/abort"}
    with pytest.raises(TransientError, match="ended as timeout"):
        sync(open_source(report(api, polling_job_timeout="{{ 0.001 }}", abort_requester=abort)))
    assert api.paths().count("/abort") == 3


def test_the_addresses_of_files_may_take_a_request_of_their_own(api: Api, open_source: Open) -> None:
    api.answers["/reports/7"] = {"status": "done", "result": "r1"}
    api.answers["/results/r1"] = {"urls": ["/file/json"]}
    api.answers["/file/json"] = {"data": [{"id": "9"}]}
    target = {"type": "HttpRequester", "url_base": api.url, "path": "/results/{{ polling_response['result'] }}"}
    json = {"type": "DpathExtractor", "field_path": ["data"]}
    result = sync(
        open_source(report(api, download_target_requester=target, download_extractor=json, delete_requester=None))
    )
    assert result.records == [{"id": "9"}]


def test_without_targets_there_is_one_file(api: Api, open_source: Open) -> None:
    api.answers["/reports/7"] = {"status": "done"}
    api.answers["/file/7"] = [[{"id": "9"}]]
    download = {"type": "HttpRequester", "url_base": api.url, "path": "/file/{{ creation_response['id'] }}"}
    parts = {"download_target_extractor": None, "download_extractor": None, "download_requester": download}
    assert sync(open_source(report(api, **parts))).records == [{"id": "9"}]


def test_closing_ends_the_wait(api: Api, open_source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_retriever, "FIRST_POLL_S", 30.0)
    api.answers["/reports/7"] = {"status": "busy"}
    source = open_source(report(api))
    threading.Timer(0.2, source.close).start()
    with pytest.raises(Cancelled):
        sync(source)


@pytest.mark.parametrize(
    ("more", "fact"),
    [
        ({"creation_requester": None}, "needs `creation_requester`"),
        ({"status_mapping": {"type": "AsyncJobStatusMap", "running": []}}, "needs `completed`"),
        (
            {"status_mapping": {**STATUS, "completed": ["busy"]}},
            "busy is listed under running too",
        ),
        (
            {
                "download_target_extractor": None,
                "download_target_requester": {"type": "HttpRequester", "url": "http://x"},
            },
            "needs a `download_target_extractor`",
        ),
    ],
)
def test_a_wrong_report_is_told_with_its_place(api: Api, open_source: Open, more: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        open_source(report(api, **more)).discover()
    assert "streams[0].retriever" in str(caught.value)


def test_a_word_that_the_manifest_does_not_know_is_told(api: Api, open_source: Open) -> None:
    api.answers["/reports/7"] = {"status": "odd"}
    with pytest.raises(ConfigError, match="reports the status 'odd'"):
        sync(open_source(report(api)))


@pytest.mark.parametrize(("most", "highest"), [(None, 1), ("{{ config['jobs'] }}", 2)])
def test_no_more_jobs_run_at_a_time_than_the_source_allows(
    api: Api, open_source: Open, most: Any, highest: int
) -> None:
    running: list[str] = []
    counts: list[int] = []
    polls: dict[str, int] = {}
    lock = threading.Lock()

    def begun(call: Any) -> Any:
        with lock:
            running.append(call.json["from"])
            counts.append(len(running))
            return {"id": call.json["from"]}

    def polled(call: Any) -> Any:
        name = call.path.rpartition("/")[2]
        with lock:
            polls[name] = polls.get(name, 0) + 1
            if polls[name] < 4 or (len(counts) < highest and polls[name] < 1000):
                return {"status": "busy"}
            running.remove(name)
        return {"status": "none"}

    api.answers["/reports"] = begun
    for month in ("01", "02", "03"):
        api.answers[f"/reports/2024-{month}-01T00:00:00Z"] = polled
    stream_of_months = {**report(api), "incremental_sync": cursor(step="P1M", cursor_granularity="PT1S")}
    more = {"max_concurrent_async_job_count": most} if most else {}
    source = open_source(stream_of_months, config={"jobs": 2}, **more)
    stream = source.discover().get("things")
    assert stream is not None
    parts = list(source.partitions([stream], {}))
    threads = [threading.Thread(target=lambda p=p: list(source.read(p, {}))) for p in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == len(parts) >= 2
    assert max(counts) == highest
