"""Which fields of a source are suggested for a vector store."""

from __future__ import annotations

from typing import Any

from kitestring.vector.field_suggestion import suggest_fields

TEXT = {"type": ["string", "null"]}


def stream(**fields: Any) -> dict[str, Any]:
    return {"name": "s", "json_schema": {"properties": fields}, "source_defined_primary_key": [["id"]]}


def test_what_people_wrote_is_suggested_as_text_and_what_they_filter_by_as_metadata() -> None:
    suggestion = suggest_fields(
        [
            stream(
                id={"type": "integer"},
                body=TEXT,
                title=TEXT,
                html_body=TEXT,
                html_url=TEXT,
                status={"type": "string", "enum": ["open"]},
                updated_at={"type": "string", "format": "date-time"},
                secret_code=TEXT,
                comments={"type": "array", "items": {"properties": {"body": TEXT, "author": TEXT}}},
                description={"type": "object", "properties": {"text": TEXT}},
            )
        ]
    )
    assert suggestion.text == ("title", "body", "comments.*.body", "description.text")
    assert suggestion.metadata == ("title", "id", "html_url", "status", "updated_at")
    assert "secret_code" in suggestion.fields


def test_the_words_of_a_camel_case_name_count_and_streams_are_taken_together() -> None:
    suggestion = suggest_fields([stream(issueTitle=TEXT), stream(plainBody=TEXT, issueTitle=TEXT)])
    assert suggestion.text == ("issueTitle", "plainBody")
    assert suggest_fields([]).text == ()
