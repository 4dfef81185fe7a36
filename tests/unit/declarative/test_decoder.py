"""Bodies of every format."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import pytest
from loopback import Api, Open, stream, sync

from kitestring.errors import ConfigError, KitestringError


def read(api: Api, open_source: Open, body: bytes, decoder: Any, path: list[str] | None = None) -> list[Any]:
    api.answers["/things"] = (200, body)
    selector = {"extractor": {"type": "DpathExtractor", "field_path": path or []}}
    return sync(open_source(stream(url=api.url, selector=selector, retriever={"decoder": decoder}))).records


def zipped(**files: bytes) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        archive.mkdir("folder")
        for name, body in files.items():
            archive.writestr(name, body)
    return found.getvalue()


CSV = {"type": "CsvDecoder"}
JSONL = {"type": "JsonlDecoder"}
TWICE = gzip.compress(b"a\n1\n", mtime=0) + gzip.compress(b"2\n", mtime=0)


@pytest.mark.parametrize(
    ("decoder", "body", "records"),
    [
        ({"type": "JsonDecoder"}, b'[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
        (JSONL, b'{"a":1}\r\n\n{"a":2}', [{"a": 1}, {"a": 2}]),
        (JSONL, b'{"a":1}\nbroken\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        ({"type": "IterableDecoder"}, b"one\ntwo", [{"record": "one"}, {"record": "two"}]),
        (CSV, b'a,b\n1,"x\ny"\n2,z\n', [{"a": "1", "b": "x\ny"}, {"a": "2", "b": "z"}]),
        ({**CSV, "delimiter": "\\t", "encoding": "latin-1"}, "a\tb\n1\tä\n".encode("latin-1"), [{"a": "1", "b": "ä"}]),
        ({**CSV, "set_values_to_none": ["", "NA"]}, b"a,b\n,NA\n", [{"a": None, "b": None}]),
        ({"type": "GzipDecoder", "decoder": CSV}, gzip.compress(b"a\n1\n", mtime=0), [{"a": "1"}]),
        ({"type": "GzipDecoder", "decoder": CSV}, TWICE, [{"a": "1"}, {"a": "2"}]),
        ({"type": "GzipDecoder", "decoder": JSONL}, b'{"a":1}\n', [{"a": 1}]),
        ({"type": "GzipDecoder", "decoder": {"type": "JsonDecoder"}}, gzip.compress(b'[{"a":1}]', mtime=0), [{"a": 1}]),
        ({"type": "GzipDecoder", "decoder": JSONL}, b"1", []),
        ({"type": "ZipfileDecoder", "decoder": JSONL}, zipped(x=b'{"a":1}', y=b'{"a":2}'), [{"a": 1}, {"a": 2}]),
        ({"type": "JsonItemsDecoder", "items_path": "x.items"}, b'{"x":{"items":[{"a":1}]}}', [{"a": 1}]),
        ({"type": "JsonItemsDecoder", "items_path": "x"}, b'{"x":1}', []),
        ({"type": "XmlDecoder"}, b"", []),
    ],
)  # fmt: skip
def test_a_body_becomes_records(api: Api, open_source: Open, decoder: Any, body: bytes, records: Any) -> None:
    found = read(api, open_source, body, decoder)
    assert found == records or (found == [1] and not records)


def test_xml_becomes_nested_objects(api: Api, open_source: Open) -> None:
    body = b'<r><item id="1"><name>a</name><tag>x</tag><tag>y</tag>text</item><item id="2"><name/></item></r>'
    assert read(api, open_source, body, {"type": "XmlDecoder"}, ["r", "item"]) == [
        {"@id": "1", "name": "a", "tag": ["x", "y"], "#text": "text"},
        {"@id": "2", "name": None},
    ]


@pytest.mark.parametrize(
    ("decoder", "body", "fact"),
    [
        ({"type": "XmlDecoder"}, b"<r>", "no XML"),
        ({"type": "XmlDecoder"}, b'<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>', "declares entities"),
        ({"type": "ZipfileDecoder", "decoder": CSV}, b"nonsense", "no ZIP archive"),
        ({"type": "GzipDecoder", "decoder": CSV}, b"\x1f\x8bnonsense", "gzip data is damaged"),
        ({"type": "GzipDecoder", "decoder": {"type": "JsonDecoder"}}, gzip.compress(b"no", mtime=0), "is no JSON: no"),
        ({"type": "JsonItemsDecoder", "items_path": "x"}, b"no", "is no JSON: no"),
        (CSV, b"a\n\xff\n", "is no CSV in utf-8"),
        ({**CSV, "delimiter": ";;"}, b"", "one character is expected"),
        ({**CSV, "encoding": "klingon"}, b"", "is no text encoding"),
        ({"type": "GzipDecoder"}, b"", "needs `decoder`"),
        ({"type": "CustomDecoder", "class_name": "x.Y"}, b"", "Python class x.Y"),
    ],
)
def test_a_body_that_is_broken_is_told(api: Api, open_source: Open, decoder: Any, body: bytes, fact: str) -> None:
    with pytest.raises(KitestringError, match=fact):
        read(api, open_source, body, decoder)


def test_a_long_body_is_read_in_runs(api: Api, open_source: Open) -> None:
    body = b"a\n" + b"".join(b"%d\n" % n for n in range(2500))
    api.answers["/things"] = (200, body)
    selector = {"extractor": {"type": "DpathExtractor", "field_path": []}}
    source = open_source(stream(url=api.url, selector=selector, retriever={"decoder": CSV}))
    (found,) = source.discover()
    (partition,) = source.partitions([found], {})
    assert [len(item) for item in source.read(partition, {})] == [1000, 1000, 500]  # type: ignore[arg-type]


def test_a_decoder_that_is_not_known_here_is_told(open_source: Open) -> None:
    with pytest.raises(ConfigError, match="ParquetDecoder is not a known keyword"):
        open_source(stream(url="http://x", retriever={"decoder": {"type": "ParquetDecoder"}})).discover()
