"""Bodies of every format."""

from __future__ import annotations

import gzip
import io
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from loopback import Api, Open, Sync, stream, sync

from kitestring.errors import ConfigError, KitestringError
from kitestring.http import UnreadableError


def read(api: Api, open_source: Open, body: bytes, decoder: Any, path: list[str] | None = None) -> list[Any]:
    api.answers["/things"] = (200, body)
    selector = {"extractor": {"type": "DpathExtractor", "field_path": path or []}}
    return sync(open_source(stream(url=api.url, selector=selector, retriever={"decoder": decoder}))).records


def zipped(**files: bytes) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        archive.mkdir("folder")
        for name, body in files.items():
            archive.writestr(name, body)
    return result.getvalue()


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
    result = read(api, open_source, body, decoder)
    assert result == records or (result == [1] and not records)


def test_xml_becomes_nested_objects(api: Api, open_source: Open) -> None:
    body = b'<r><item id="1"><name>a</name><tag>x</tag><tag>y</tag>text</item><item id="2"><name/></item></r>'
    assert read(api, open_source, body, {"type": "XmlDecoder"}, ["r", "item"]) == [
        {"@id": "1", "name": "a", "tag": ["x", "y"], "#text": "text"},
        {"@id": "2", "name": None},
    ]


@pytest.mark.parametrize(
    ("decoder", "body", "fact"),
    [
        ({"type": "XmlDecoder"}, b"<r>", "not XML"),
        ({"type": "XmlDecoder"}, b'<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>', "declares entities"),
        ({"type": "ZipfileDecoder", "decoder": CSV}, b"nonsense", "not a readable ZIP archive"),
        ({"type": "GzipDecoder", "decoder": CSV}, b"\x1f\x8bnonsense", "gzip data is damaged"),
        (
            {"type": "GzipDecoder", "decoder": {"type": "JsonDecoder"}},
            gzip.compress(b"no", mtime=0),
            "is not JSON: Expecting value",
        ),
        ({"type": "JsonItemsDecoder", "items_path": "x"}, b"no", "is not JSON: Expecting value"),
        (
            {"type": "GzipDecoder", "decoder": CSV},
            gzip.compress(b"a\n1\n", mtime=0)[:-4],
            "gzip data ends in the middle",
        ),
        ({"type": "GzipDecoder", "decoder": CSV}, gzip.compress(b"a\n1\n", mtime=0) + b"xyz", "gzip data is damaged"),
        ({**CSV, "delimiter": ";;"}, b"", "one character is expected"),
        ({**CSV, "encoding": "klingon"}, b"", "is not a text encoding"),
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
    (result,) = source.discover()
    (partition,) = source.partitions([result], {})
    assert [len(item) for item in source.read(partition, {})] == [1000, 1000, 500]  # type: ignore[arg-type]


def test_a_decoder_that_is_not_known_here_is_told(open_source: Open) -> None:
    with pytest.raises(ConfigError, match="ParquetDecoder is not a known keyword"):
        open_source(stream(url="http://x", retriever={"decoder": {"type": "ParquetDecoder"}})).discover()


WHOLE = {"extractor": {"type": "DpathExtractor", "field_path": []}}


def decoded(api: Api, open_source: Open, body: bytes, decoder: Any, kind: str = "text/plain") -> Sync:
    api.answers["/things"] = (200, body, {"Content-Type": kind})
    return sync(open_source(stream(url=api.url, selector=WHOLE, retriever={"decoder": decoder})))


def test_a_line_that_cannot_be_read_is_a_reject_and_the_others_arrive(api: Api, open_source: Open) -> None:
    body = (
        b'\xef\xbb\xbf{"id": 1}\n\n{"id": 2, \n{"id": 3}\r\n7\n{"id": "\\ud83d"}\n{"id": 12345678901234567890123}\n'
        b'{"id": "\xff"}'
    )
    result = decoded(api, open_source, body, {"type": "JsonlDecoder"})
    assert [row["id"] for row in result.records] == [1, 3, "\ufffd", 12345678901234567890123]
    assert [reject.reason.partition(":")[0] for reject in result.rejects] == [
        "line 3 cannot be read",
        "line 5 is not an object",
        "line 8 cannot be read",
    ]
    assert result.rejects[0].record == {"line": '{"id": 2, '}


def test_lines_in_the_charset_of_the_response_are_read(api: Api, open_source: Open) -> None:
    text = '{"id": "Zo\xeb"}\n{"id": "\u20ac"}\n'
    kind = "application/x-ndjson; charset="
    for charset in ("windows-1252", "utf-16", "utf-8"):
        result = decoded(api, open_source, text.encode(charset), {"type": "JsonlDecoder"}, kind + charset)
        assert [row["id"] for row in result.records] == ["Zo\xeb", "\u20ac"]
        result = decoded(
            api, open_source, "Zo\xeb\n\u20ac".encode(charset), {"type": "IterableDecoder"}, kind + charset
        )
        assert [row["record"] for row in result.records] == ["Zo\xeb", "\u20ac"]


def test_a_page_in_the_charset_that_its_header_names_is_read(api: Api, open_source: Open) -> None:
    api.answers["/things"] = (
        200,
        b'{"data": [{"id": "Zo\xeb"}]}',
        {"Content-Type": "application/json; charset=latin-1"},
    )
    assert sync(open_source(stream(url=api.url))).records == [{"id": "Zo\xeb"}]
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b'{"data": [{"id": "cut \\ud83d"}]}', ["cut \ufffd"]),
        (b'\xef\xbb\xbf{"data": [{"id": 1}]}', [1]),
        (b'{"data": [{"id": 1e400}]}', [Decimal("1e400")]),
        (b'{"data": [{"id": -Infinity}]}', [float("-inf")]),
        (b'{"data": [{"id": 123456789012345678901}]}', [123456789012345678901]),
        (b'{"data": [{"id": 0.12345678901234567890}]}', [Decimal("0.12345678901234567890")]),
    ],
)
def test_values_that_other_readers_refuse_or_change_arrive(
    api: Api, open_source: Open, body: bytes, values: list[Any]
) -> None:
    api.answers["/things"] = body
    assert [row["id"] for row in sync(open_source(stream(url=api.url))).records] == values
    assert len(api.calls) == 1


def test_rows_of_csv_are_read_or_rejected_never_lost(api: Api, open_source: Open) -> None:
    long = "x" * 200_000
    body = (
        f'\ufeffid,name\n1,{long}\n\n2\n3,b,c\n4,d,\n5,"e\nf"\n6,5" wide\n7,"5" wide\n8,a\0b\n9,"never closed\n10,z\n'
    )
    result = decoded(api, open_source, body.encode(), CSV)
    assert result.records == [
        {"id": "1", "name": long},
        {"id": "2", "name": None},
        {"id": "4", "name": "d"},
        {"id": "5", "name": "e\nf"},
        {"id": "6", "name": '5" wide'},
        {"id": "7", "name": "5 wide"},
        {"id": "8", "name": "a\0b"},
        {"id": "10", "name": "z"},
    ]
    assert [(reject.record, reject.reason) for reject in result.rejects] == [
        ({"line": "3,b,c"}, "line 5 has 3 cells, the first line has 2 names"),
        ({"line": '9,"never closed'}, "line 12 cannot be read: unexpected end of data"),
    ]


def test_columns_of_csv_with_the_same_name_are_all_kept(api: Api, open_source: Open) -> None:
    result = decoded(api, open_source, b"\na,b,a,a_1\n1,2,3,4\n", CSV)
    assert result.records == [{"a_2": "1", "b": "2", "a": "3", "a_1": "4"}]


def test_csv_in_another_encoding_is_read_or_rejected_row_by_row(api: Api, open_source: Open) -> None:
    text = "id,name\n1,Zo\xeb\n2,Ann\n"
    latin = text.encode("latin-1")
    result = decoded(api, open_source, latin, CSV)
    assert result.records == [{"id": "2", "name": "Ann"}]
    assert [reject.reason for reject in result.rejects] == ["line 2 is not utf-8"]
    whole = [{"id": "1", "name": "Zo\xeb"}, {"id": "2", "name": "Ann"}]
    assert decoded(api, open_source, latin, CSV, "text/csv; charset=iso-8859-1").records == whole
    assert decoded(api, open_source, latin, {**CSV, "encoding": "latin-1"}).records == whole
    assert decoded(api, open_source, text.encode("utf-16"), CSV).records == whole
    assert decoded(api, open_source, text.encode("utf-16-le"), {**CSV, "encoding": "utf-16-le"}).records == whole


def test_rows_that_cannot_be_read_are_rejects_in_packed_files_too(api: Api, open_source: Open) -> None:
    body = b"id\n1\n2,3\n"
    packed = gzip.compress(body[:4]) + gzip.compress(body[4:])
    result = decoded(api, open_source, packed + b"\0" * 9, {"type": "GzipDecoder", "decoder": CSV})
    assert (len(result.records), len(result.rejects)) == (1, 1)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", body)
    result = decoded(api, open_source, file.getvalue(), {"type": "ZipfileDecoder", "decoder": CSV})
    assert (len(result.records), len(result.rejects)) == (1, 1)


def test_a_body_that_is_not_packed_as_it_says_is_asked_for_once_more(api: Api, open_source: Open) -> None:
    api.answers["/things"] = (200, b'{"data": []}', {"Content-Encoding": "gzip"})
    with pytest.raises(UnreadableError, match="content-encoding gzip, and its body is not packed so"):
        sync(open_source(stream(url=api.url)))
    assert len(api.calls) == 2


def test_a_kept_page_of_a_parent_is_read_in_its_charset(api: Api, open_source: Open) -> None:
    kind = {"Content-Type": "application/json; charset=latin-1"}
    api.answers["/parents"] = (200, b'{"data": [{"id": 1, "name": "Zo\xeb"}]}', kind)
    api.answers["/parents/1"] = {"data": [{"id": 2}]}
    parent = {
        "type": "ParentStreamConfig",
        "stream": stream("parents", url=api.url, path="/parents"),
        "parent_key": "id",
        "partition_field": "parent",
    }
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}
    child = stream(url=api.url, path="/parents/{{ stream_slice['parent'] }}", retriever={"partition_router": router})
    source = open_source(child, stream("parents", url=api.url, path="/parents"))
    with source.connection:
        assert [row["name"] for row in sync(source, "parents").records] == ["Zo\xeb"]
        assert [row["id"] for row in sync(source).records] == [2]
    assert api.paths().count("/parents") == 1
