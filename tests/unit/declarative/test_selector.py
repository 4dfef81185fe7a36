"""From pages to records: extractors, filters, transformations, normalisation."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, Sync, stream, sync

from kitestring.errors import ConfigError


def read(api: Api, open_source: Open, page: Any, config: dict[str, Any] | None = None, **more: Any) -> Sync:
    api.answers["/things"] = page
    return sync(open_source(stream(url=api.url, **more), config=config))


def extractor(*path: str, **more: Any) -> dict[str, Any]:
    return {"extractor": {"type": "DpathExtractor", "field_path": list(path), **more}}


@pytest.mark.parametrize(
    ("path", "page", "records"),
    [
        (["data"], {"data": [{"id": 1}, {"id": 2}]}, [{"id": 1}, {"id": 2}]),
        (["data"], {"data": {"id": 1}}, [{"id": 1}]),
        (["data"], {"other": 1}, []),
        (["data"], {"data": None}, []),
        (["data"], [], []),
        ([], {"id": 1}, [{"id": 1}]),
        ([], [{"id": 1}, {}], [{"id": 1}]),
        (["data"], [{"data": [{"id": 1}]}, {"data": [{"id": 2}]}], [{"id": 1}, {"id": 2}]),
        (["data", "*", "rows"], {"data": {"a": {"rows": {"id": 1}}, "b": {"rows": {"id": 2}}}}, [{"id": 1}, {"id": 2}]),
        (["data", "0", "x"], {"data": [{"x": [{"id": 1}]}]}, [{"id": 1}]),
        (["{{ config.key }}"], {"data": [{"id": 1}]}, [{"id": 1}]),
    ],
)
def test_records_stand_at_the_path(api: Api, open_source: Open, path: list[str], page: Any, records: Any) -> None:
    result = read(api, open_source, lambda call: page, {"key": "data"}, selector=extractor(*path))
    assert result.records == records


def test_what_is_no_object_is_rejected_and_the_others_are_taken(api: Api, open_source: Open) -> None:
    result = read(api, open_source, {"data": [{"id": 1}, "text", 5, {"id": 2}]})
    assert result.records == [{"id": 1}, {"id": 2}]
    assert [reject.record for reject in result.rejects] == [{"value": "text"}, {"value": 5}]
    assert "an object) is expected" in result.rejects[0].reason


def test_extractors_combine(api: Api, open_source: Open) -> None:
    page = {"a": [{"id": 1}, {}], "b": [{"id": 2}]}

    def both(**more: Any) -> dict[str, Any]:
        parts = [{"type": "DpathExtractor", "field_path": [name]} for name in "xab"]
        return {"extractor": {"type": "CombinedExtractor", "extractors": parts, **more}}

    assert read(api, open_source, page, selector=both()).records == [{"id": 1}, {}, {"id": 2}]
    assert read(api, open_source, page, selector=both(mode="first_match")).records == [{"id": 1}, {}]
    assert read(api, open_source, page, selector=both(skip_empty_records=True)).records == [{"id": 1}, {"id": 2}]
    with pytest.raises(ConfigError, match="at least one extractor"):
        read(api, open_source, page, selector={"extractor": {"type": "CombinedExtractor", "extractors": []}})


def test_a_record_expands_into_its_items(api: Api, open_source: Open) -> None:
    page = {"data": [{"id": 1, "lines": [{"n": 1}, {"n": 2}]}, {"id": 2, "lines": []}]}

    def expanded(**more: Any) -> list[Any]:
        expander = {"type": "RecordExpander", "expand_records_from_field": ["lines"], **more}
        return read(api, open_source, page, selector=extractor("data", record_expander=expander)).records

    assert expanded() == [{"n": 1}, {"n": 2}]
    assert expanded(parent_fields=[{"parent_path": ["id"], "record_path": ["p", "id"]}])[0] == {"n": 1, "p": {"id": 1}}
    assert expanded(merge_parent=True) == [{"id": 1, "n": 1}, {"id": 1, "n": 2}]
    assert expanded(remain_original_record=True)[0]["original_record"]["id"] == 1
    assert expanded(on_no_records="emit_parent")[-1] == {"id": 2, "lines": []}
    assert expanded(expand_records_from_field=["lines", "*"]) == [{"n": 1}, {"n": 2}]
    with pytest.raises(ConfigError, match="needs a `truncation_indicator_path`"):
        expanded(truncated_list_retriever=stream("rest", api.url)["retriever"])


def test_items_that_are_no_objects_become_some_where_they_keep_something_of_their_parent(
    api: Api, open_source: Open
) -> None:
    page = {"data": [{"id": 1, "tags": ["a", "b"]}]}
    expander = {"type": "RecordExpander", "expand_records_from_field": ["tags"], "merge_parent": True}
    result = read(api, open_source, page, selector=extractor("data", record_expander=expander))
    assert result.records == [{"id": 1, "value": "a"}, {"id": 1, "value": "b"}]


def test_a_list_that_was_cut_short_is_read_whole(api: Api, open_source: Open, caplog: pytest.LogCaptureFixture) -> None:
    page = {
        "data": [
            {"id": 1, "lines": {"data": [{"n": 1}], "more": True}},
            {"id": 2, "lines": {"data": [{"n": 3}], "more": False}},
            {"id": 3, "lines": {"data": [{"n": 4}], "more": True}},
        ]
    }
    api.answers["/1/lines"] = {"data": [{"n": 1}, {"n": 2}]}
    api.answers["/3/lines"] = {"data": []}
    rest = stream("rest", api.url, "/{{ stream_slice['parent_record']['id'] }}/lines")["retriever"]
    short = {
        "type": "RecordExpander",
        "expand_records_from_field": ["lines", "data"],
        "truncation_indicator_path": ["lines", "more"],
        "parent_fields": [{"parent_path": ["id"], "record_path": ["of"]}],
    }
    whole = {**short, "truncated_list_retriever": rest}
    result = read(api, open_source, page, selector=extractor("data", record_expander=whole))
    assert result.records == [{"n": 1, "of": 1}, {"n": 2, "of": 1}, {"n": 3, "of": 2}, {"n": 4, "of": 3}]
    assert api.paths() == ["/things", "/1/lines", "/3/lines"]
    result = read(api, open_source, page, selector=extractor("data", record_expander=short))
    assert [record["n"] for record in result.records] == [1, 3, 4]
    assert caplog.text.count("records are missing") == 1


def filtered(condition: Any, **more: Any) -> dict[str, Any]:
    return {"record_filter": {"type": "RecordFilter", "condition": condition}, **more}


def test_a_filter_keeps_what_satisfies_it(api: Api, open_source: Open) -> None:
    page = {"data": [{"id": 1, "n": 5}, {"id": 2, "n": 9}]}
    assert read(api, open_source, page, {"most": 6}, selector=filtered("{{ record.n < config.most }}")).records == [
        page["data"][0]
    ]


def test_a_filter_sees_added_fields_only_when_asked_to(api: Api, open_source: Open) -> None:
    page = {"data": [{"id": 1}]}
    more = {"transformations": [{"type": "AddFields", "fields": [{"path": ["x"], "value": "1"}]}]}
    assert read(api, open_source, page, selector=filtered("{{ record.x }}"), **more).records == []
    early = filtered("{{ record.x }}", transform_before_filtering=True)
    assert read(api, open_source, page, selector=early, **more).records == [{"id": 1, "x": 1}]


def transformed(api: Api, open_source: Open, record: dict[str, Any], *transformations: dict[str, Any]) -> Any:
    result = read(
        api, open_source, {"data": [record]}, {"c": "conf", "on": True}, transformations=list(transformations)
    )
    return result.records[0] if result.records else result.rejects[0]


def add(*fields: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": "AddFields",
        "fields": [{"path": path, "value": value, **kind} for path, value, kind in fields],
        **more,
    }


def test_fields_are_added(api: Api, open_source: Open) -> None:
    result = transformed(
        api,
        open_source,
        {"id": 1, "name": "Ann", "tags": ["a"], "deep": {"x": None}},
        add(
            (["conf"], "{{ config.c }}", {}),
            (["copy"], "{{ record['name'] }}", {}),
            (["deep", "y"], "{{ record.id + 1 }}", {}),
            (["as_text"], "{{ record.id }}", {"value_type": "string"}),
            (["list"], "{{ record.tags }}", {}),
            (["none"], "{{ record.absent }}", {}),
        ),
        add((["later"], "{{ record.conf }}!", {}), (["not"], "1", {}), condition="{{ path == ['later'] and value }}"),
    )
    assert result == {
        "id": 1,
        "name": "Ann",
        "tags": ["a"],
        "deep": {"x": None, "y": 2},
        "conf": "conf",
        "copy": "Ann",
        "as_text": "1",
        "list": ["a"],
        "none": "",
        "later": "conf!",
    }


def test_a_record_that_a_template_cannot_take_is_rejected(api: Api, open_source: Open) -> None:
    result = transformed(
        api, open_source, {"id": 1, "day": "?"}, add((["d"], "{{ format_datetime(record.day, '%Y') }}", {}))
    )
    assert result.record["id"] == 1
    assert "the template fails" in result.reason


def test_a_record_where_a_path_leads_through_a_text_is_rejected(api: Api, open_source: Open) -> None:
    assert "not an object" in transformed(api, open_source, {"a": "text"}, add((["a", "b"], "1", {}))).reason


REMOVE: dict[str, Any] = {"type": "RemoveFields"}
LIFT: dict[str, Any] = {"type": "DpathFlattenFields", "field_path": ["a"]}
AFFIX = {"type": "KeyTransformation", "prefix": "p_", "suffix": "_s"}
NAMES = {"Some Key": 1, "aB": {"CamelCase": 2}, "Ünï": 3, "1x": 4}
SNAKES = {"some_key": 1, "a_b": {"camel_case": 2}, "uni": 3, "_1_x": 4}


@pytest.mark.parametrize(
    ("record", "transformation", "expected"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {**REMOVE, "field_pointers": [["a"], ["b", "c"], ["z"]]}, {"b": {"d": 3}}),
        ({"a": "", "b": 1}, {**REMOVE, "field_pointers": [["*"]], "condition": "{{ property == '' }}"}, {"b": 1}),
        ({"A": 1, "bB": {"C": 1}}, {"type": "KeysToLower"}, {"a": 1, "bb": {"C": 1}}),
        (NAMES, {"type": "KeysToSnakeCase"}, SNAKES),
        ({"a-b": {"c-d": 1}}, {"type": "KeysReplace", "old": "-", "new": "_"}, {"a_b": {"c_d": 1}}),
        ({"a": {"x": 1, "y": [5, 6]}, "x": 2}, {"type": "FlattenFields"}, {"x": 2, "y.1": 6, "y.0": 5, "a.x": 1}),
        ({"a": {"y": [5]}}, {"type": "FlattenFields", "flatten_lists": False}, {"y": [5]}),
        ({"a": {"x": 1}, "b": 2}, LIFT, {"a": {"x": 1}, "b": 2, "x": 1}),
        ({"a": {"x": 1}, "b": 2}, {**LIFT, "delete_origin_value": True}, {"b": 2, "x": 1}),
        ({"a": {"x": 1}, "b": 2}, {**LIFT, "field_path": ["*"], "replace_record": True}, {"x": 1}),
        ({"a": {"b": 1}, "b": 2}, LIFT, {"a": {"b": 1}, "b": 2}),
        ({"a": 5}, LIFT, {"a": 5}),
        ({"a": {"x": 1}}, {**LIFT, "delete_origin_value": True, "key_transformation": AFFIX}, {"p_x_s": 1}),
    ],
)
def test_a_transformation_changes_a_record(
    api: Api, open_source: Open, record: Any, transformation: Any, expected: Any
) -> None:
    result = transformed(api, open_source, record, transformation)
    if transformation["type"] == "FlattenFields" and "x" in expected and "a.x" in expected:
        assert set(result.values()) == {1, 2, 5, 6}
    else:
        assert result == expected


@pytest.mark.parametrize(
    ("transformation", "fact"),
    [
        (add(([], "1", {})), "at least one name"),
        (add((["a"], "1", {"value_type": "date"})), "one of string, number"),
        ({"type": "RemoveFields", "field_pointers": ["a"]}, "a list of names is expected"),
        ({"type": "CustomTransformation", "class_name": "x.Y"}, r"transformations\[0\].*Python class x.Y"),
        ({"type": "AddField"}, "did you mean AddFields"),
    ],
)
def test_a_wrong_transformation_is_told_with_its_place(open_source: Open, transformation: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        open_source(stream(url="http://x", transformations=[transformation])).discover()
    assert "streams[0].transformations[0]" in str(caught.value)


def test_values_are_fitted_to_the_schema(api: Api, open_source: Open) -> None:
    properties = {
        "text": {"type": ["null", "string"]},
        "number": {"type": "number"},
        "whole": {"type": ["integer", "null"]},
        "flag": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "string"}},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "any": {"type": ["string", "integer"]},
        "inner": {"type": "object", "properties": {"n": {"type": "string"}}},
    }
    record = {
        "text": 5,
        "number": "1.5",
        "whole": "7",
        "flag": "yes",
        "list": "one",
        "rows": [{"n": "1"}, {"n": "x"}],
        "any": 5,
        "inner": {"n": 1},
        "other": 1,
    }
    more = {"schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": properties}}}
    selector = {**extractor("data"), "schema_normalization": "Default"}
    assert read(api, open_source, {"data": [record]}, selector=selector, **more).records == [
        {
            "text": "5",
            "number": 1.5,
            "whole": 7,
            "flag": True,
            "list": ["one"],
            "rows": [{"n": 1}, {"n": "x"}],
            "any": 5,
            "inner": {"n": "1"},
            "other": 1,
        }
    ]
    odd = {"text": None, "whole": None, "flag": "maybe", "list": ["a", 5]}
    assert read(api, open_source, {"data": [dict(odd)]}, selector=selector, **more).records == [
        {**odd, "list": ["a", "5"]}
    ]


@pytest.mark.parametrize(
    ("selector", "fact"),
    [
        ({"schema_normalization": "Fancy"}, "None or Default is expected"),
        ({"schema_normalization": {"type": "CustomSchemaNormalization", "class_name": "x.Y"}}, "Python class x.Y"),
        ({"extractor": {"type": "DpathExtractor", "field_path": "data"}}, "a list of names is expected"),
        ({"extractor": {"type": "CustomRecordExtractor", "class_name": "x.Y"}}, "Python class x.Y"),
        ({"extractor": None}, "needs `extractor`"),
    ],
)
def test_a_wrong_selector_is_told_with_its_place(open_source: Open, selector: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        open_source(stream(url="http://x", selector=selector)).discover()
    assert "streams[0].retriever.record_selector" in str(caught.value)
