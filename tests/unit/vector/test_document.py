"""Records become documents: text, metadata, identity."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.errors import ConfigError, RecordError
from kitestring.types import Stream
from kitestring.vector.document import DocumentBuilder, label_fields
from kitestring.vector.processing import Processing
from kitestring.vector.record_key import record_id, record_key

TICKETS = Stream("tickets", primary_key=(("id",),), write=WRITES["append_dedup"])


def documents(stream: Stream = TICKETS, **processing: Any) -> DocumentBuilder:
    return DocumentBuilder(Processing.load({"chunk_size": 1000, **processing}), stream)


def test_text_fields_are_joined_without_their_names_and_are_metadata_too() -> None:
    document = documents(text_fields=["subject", "body"]).build(
        {"id": 7, "subject": "Printer", "body": "It burns.", "status": "new"}
    )
    assert document.text == "Printer\n\nIt burns."
    assert document.metadata == {
        "id": 7, "subject": "Printer", "body": "It burns.", "status": "new",
        "_ab_stream": "tickets", "_ab_record_id": "tickets_7",
    }  # fmt: skip


def test_field_names_restores_airbyte_s_lines() -> None:
    record = {"id": 1, "subject": "Hi", "tags": ["a", "b"], "user": {"name": "Ann", "age": 3}, "none": None}
    document = documents(text_fields=["subject", "tags", "user", "none"], field_names=True).build(record)
    assert document.text == "subject: Hi\ntags: a\nb\nuser: \nname: Ann\nage: 3\n\nnone: None\n"


def test_labels_follow_nested_lists_of_objects() -> None:
    assert label_fields({"a": [{"b": 1}, "c"]}) == "a: \nb: 1\n\nc\n"


def test_paths_reach_nested_fields_lists_and_names_with_dots() -> None:
    record = {
        "id": 1,
        "user": {"name": "Ann"},
        "comments": [{"body": "one", "by": 2}, {"body": "two"}],
        "a.b": "dotted",
    }
    document = documents(text_fields=["user.name", "comments.*.body", "a.b", "comments.0.by"]).build(record)
    assert document.text == "Ann\n\none\ntwo\n\ndotted\n\n2"
    assert {name: document.metadata[name] for name in record} == record


def test_metadata_by_path_keeps_one_value_or_a_list_under_the_path() -> None:
    record = {"id": 1, "text": "t", "user": {"name": "Ann"}, "items": [{"n": 1}, {"n": 2}]}
    document = documents(text_fields=["text"], metadata_fields=["user.name", "items.*.n", "absent"]).build(record)
    assert document.metadata == {
        "user.name": "Ann",
        "items.*.n": [1, 2],
        "_ab_stream": "tickets",
        "_ab_record_id": "tickets_1",
    }


def test_mapped_fields_get_their_new_names_in_text_and_metadata() -> None:
    mappings = [{"from_field": "subject", "to_field": "title"}, {"from_field": "state", "to_field": "status"}]
    document = documents(text_fields=["subject"], field_name_mappings=mappings, field_names=True).build(
        {"id": 1, "subject": "Hi", "state": "new"}
    )
    assert document.text == "title: Hi\n"
    assert document.metadata["status"] == "new"
    assert "state" not in document.metadata


def test_without_text_fields_all_fields_are_text_and_metadata() -> None:
    record = {"id": 1, "title": "short", "body": "long " * 300, "open": True, "none": None}
    document = documents().build(record)
    assert document.text == "1\n\nshort\n\n" + "long " * 300
    assert {name: document.metadata[name] for name in record} == record


def test_of_an_embedded_text_that_fits_no_row_the_metadata_hold_the_beginning() -> None:
    record = {"id": 1, "body": "é" * 40_000, "note": "é" * 40_000}
    document = documents(text_fields=["body"]).build(record)
    assert (document.metadata["body"], document.metadata["note"], document.cut) == ("é" * 1_000, record["note"], 1)
    assert documents(text_fields=["body"], metadata_fields=["body"]).build(record).metadata["body"] == record["body"]


def test_html_becomes_text_unless_switched_off() -> None:
    record = {"id": 1, "body": "<h1>Hi</h1><p>One &amp; <b>two</b></p>", "plain": "a < b && c > d"}
    assert documents(text_fields=["body", "plain"]).build(record).text == "Hi\n\nOne & two\n\na < b && c > d"
    assert documents(text_fields=["body"], html=False).build(record).text == record["body"]


def test_an_empty_text_is_a_document_and_a_record_without_any_text_field_is_not() -> None:
    some = documents(text_fields=["subject", "body"])
    assert some.build({"id": 1, "subject": None}).text == ""
    with pytest.raises(RecordError, match=r"none of the text fields \(subject, body\); it has id, title"):
        some.build({"id": 1, "title": "x"})


def test_text_fields_that_the_schema_cannot_hold_are_refused_before_the_sync() -> None:
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user": {"type": "object", "properties": {"name": {"type": "string"}}},
            "notes": {"type": ["null", "array"], "items": {"type": "object", "properties": {"body": {}}}},
            "free": {"type": "object"},
        },
    }
    stream = Stream("t", schema=schema, primary_key=(("id",),))
    for good in ("user.name", "user.*", "notes.*.body", "notes.0.body", "free.anything", "id", "u*.name"):
        documents(stream, text_fields=["nope", good])
    for bad in ("body", "user.nme", "notes.*.text", "id.x", "notes.body"):
        with pytest.raises(ConfigError, match=f"none of the text fields .{bad.replace('*', '.')}. is in the stream t"):
            documents(stream, text_fields=[bad])


def test_a_stream_without_declared_fields_takes_any_text_field() -> None:
    documents(Stream("t"), text_fields=["anything"])
    loose = {"type": "object", "properties": {"id": {}}, "additionalProperties": True}
    documents(Stream("t", schema=loose), text_fields=["anything"])


def test_record_ids_are_airbyte_s() -> None:
    assert record_id(Stream("a", namespace="ns"), (1, "x", None)) == "ns_a_1_x___not_found__"
    assert record_id(Stream("a"), ()) == "a"


def test_keys_keep_apart_what_joined_names_confuse() -> None:
    stream = Stream("c", namespace="a_b", primary_key=(("x",), ("y",)))
    other = Stream("b_c", namespace="a", primary_key=(("x",), ("y",)))
    keys = {record_key(item, values) for item in (stream, other) for values in (("a_b", "c"), ("a", "b_c"))}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)


def test_a_document_s_key_is_the_key_of_its_primary_key_values() -> None:
    stream = Stream("t", primary_key=(("user", "id"), ("n",)))
    document = documents(stream).build({"user": {"id": "u"}, "n": 1, "text": "x"})
    assert document.key == record_key(stream, ("u", 1))
    assert document.record_id == "t_u_1"


def test_without_a_primary_key_the_content_is_the_identity() -> None:
    single_documents = documents(Stream("t"))
    assert single_documents.build({"a": 1, "b": "x"}).key == single_documents.build({"b": "x", "a": 1}).key
    assert single_documents.build({"a": 1}).key != single_documents.build({"a": 2}).key
    assert "_ab_record_id" not in single_documents.build({"a": 1}).metadata


def test_append_dedup_refuses_a_record_without_its_primary_key() -> None:
    with pytest.raises(RecordError, match="no value in its primary key field id"):
        documents().build({"text": "x"})
    appended = Stream("t", primary_key=(("id",),), write=WRITES["append"])
    assert documents(appended).build({"text": "x"}).record_id == "t___not_found__"


def test_the_reader_s_address_and_the_time_of_change_are_found_by_name() -> None:
    record = {"id": 1, "url": "https://api/x.json", "html_url": "https://help/x", "updated_at": "2026-01-02T03:04:05Z"}
    document = documents(metadata_fields=["id"]).build(record)
    assert (document.url, document.updated_at) == ("https://help/x", "2026-01-02T03:04:05Z")
    assert document.metadata["url"] == "https://help/x"
    assert document.metadata["updated_at"] == "2026-01-02T03:04:05Z"
    assert documents().build(record).metadata["url"] == "https://api/x.json", "the record's own field is not replaced"
    assert documents().build({"id": 1, "url": "not an address"}).url is None


def test_the_fields_of_address_and_time_can_be_named() -> None:
    document = documents(url_field="links.self", updated_at_field="meta.changed").build(
        {"id": 1, "links": {"self": "app://1"}, "meta": {"changed": 1700000000}, "url": "https://x"}
    )
    assert (document.url, document.updated_at) == ("app://1", "1700000000")


def test_lone_surrogates_leave_text_metadata_and_ids() -> None:
    document = documents(text_fields=["t"]).build({"id": "\udc00", "t": "a\ud800", "m": {"k\ud800": ["\udfff"]}})
    assert document.text == "a\ufffd"
    assert document.metadata["m"] == {"k\ufffd": ["\ufffd"]}
    assert document.record_id == "tickets_\ufffd"
    assert len(document.key) == 32


def test_the_record_is_left_as_it_was() -> None:
    record = {"id": 1, "user": {"name": "<p>Ann</p>", "x": 1}, "list": [{"b": "c"}]}
    before = repr(record)
    documents(text_fields=["user.name", "list.*.b"]).build(record)
    assert repr(record) == before


def test_html_with_lone_surrogates_is_still_cleaned() -> None:
    assert documents(text_fields=["t"]).build({"id": 1, "t": "<p>a\ud800</p>"}).text == "a\ufffd"


def test_an_open_schema_that_names_its_fields_is_taken_at_its_word() -> None:
    properties = {name: {"type": "string"} for name in ("id", "subject", "status", "priority")}
    schema = {"type": "object", "properties": properties, "additionalProperties": True}
    stream = Stream("tickets", schema=schema, primary_key=(("id",),))
    with pytest.raises(ConfigError, match="none of the text fields"):
        DocumentBuilder(Processing(chunk_size=100, text_fields=["descripton"]), stream)
