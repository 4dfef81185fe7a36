"""Validation finds every mistake it can, each where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kitestring
from kitestring.declarative.builder import validate
from kitestring.declarative.builder.template_check import TemplateCheck
from kitestring.declarative.template import Templates

GOOD = """\
version: 6.48.0
type: DeclarativeSource
check:
  type: CheckStream
  stream_names: [beasts]
definitions:
  requester: &requester
    type: HttpRequester
    url_base: "https://{{ config['host'] }}/v1"
    path: beasts
streams:
  - type: DeclarativeStream
    name: beasts
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester:
        $ref: "#/definitions/requester"
        path: beasts
      record_selector:
        type: RecordSelector
        extractor: {type: DpathExtractor, field_path: [data]}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "{{ config['since'] }}"
  - type: DeclarativeStream
    name: keepers
    retriever:
      type: SimpleRetriever
      requester: {<<: *requester, path: keepers}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [host, since]
    properties:
      host: {type: string}
      since: {type: string, format: date-time, pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
"""


def broken(*changes: tuple[str, str]) -> list[tuple[int, str]]:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return [(item.line, item.message) for item in validate(text)]


@pytest.mark.slow
def test_a_good_manifest_has_no_defects_even_where_it_computes_with_the_configuration() -> None:
    assert validate(GOOD) == []
    folder = Path(kitestring.__file__).parent / "sources" / "manifests"
    for path in sorted(folder.glob("*.yaml")):
        assert validate(path.read_text("utf-8"), folder=folder) == []


def test_several_mistakes_are_found_at_once_each_at_its_line() -> None:
    result = broken(
        ("type: RecordSelector\n", "type: RecordSelecter\n"),
        ("url_base: \"https://{{ config['host'] }}/v1\"", "url_base: \"https://{{ config['host' }}/v1\""),
        ("stream_names: [beasts]", "stream_names: [beats]"),
        ("      cursor_field: updated_at\n", ""),
    )
    lines = [line for line, _ in result]
    text = " | ".join(message for _, message in result)
    assert "RecordSelecter is not a known keyword; did you mean RecordSelector?" in text
    assert "the template is malformed" in text
    assert "there is no stream called beats; did you mean beasts?" in text
    assert {5, 9, 21, 24} <= set(lines)
    assert lines == sorted(lines)


def test_a_missing_field_is_told_at_what_should_hold_it() -> None:
    ((line, message),) = broken(("      cursor_field: updated_at\n", ""))
    assert line == 24
    assert "needs `cursor_field`" in message


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ('$ref: "#/definitions/requester"', '$ref: "#/definitions/requestor"', 17, "requestor"),
        ("name: keepers", "name: beasts", 28, "two streams have the name beasts"),
        ("spec:\n", "sepc:\n", 35, "did you mean spec?"),
        ("check:\n  type: CheckStream\n  stream_names: [beasts]\n", "", 1, "no check"),
        ("primary_key: [id]", "primary_key: {id: 1}", 14, "a list of paths is expected"),
        (
            "{type: DpathExtractor, field_path: []}",
            "{type: CustomRecordExtractor, class_name: a.B}",
            33,
            "Python class a.B",
        ),
        ("version: 6.48.0", "version: [6.48.0", 2, "YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, sentence: str) -> None:
    result = broken((old, new))
    assert [item for item in result if item[0] in (line, line + 1) and sentence in item[1]], result


@pytest.mark.parametrize(
    ("template", "fact"),
    [
        ("{{ nwo_utc() }}", "there is no function nwo_utc; did you mean now_utc?"),
        ("{{ confg['host'] }}", "there is no value confg; did you mean config?"),
        ("{{ record.__class__ }}", "the attribute __class__ is forbidden"),
        ("{{ ''|attr('__class__') }}", "the attribute __class__ is forbidden"),
        ("{{ config['host' }}", "the template is malformed"),
        ("{{ record | nonsense }}", "No filter named 'nonsense'"),
        ("{% include 'x' %}", "a template cannot include or import"),
        ("{{ 'x' * 99999999 }}", "the template is refused: the repetition is too long"),
        ("{% for a in 'x' * 99 %}{{ 'y' * 99999 }}{% endfor %}", "it renders more than 4,000,000 characters"),
    ],
)
def test_a_template_is_checked_without_being_read(template: str, fact: str) -> None:
    text = GOOD.replace("path: keepers", f"path: {json.dumps(template)}")
    (defect,) = validate(text)
    assert fact in defect.message
    assert defect.path == "streams[1].retriever.requester.path"
    line = text.splitlines()[defect.line - 1]
    assert line[defect.column - 1 :].startswith('"{')


def test_a_template_of_several_lines_says_in_which_of_them_it_fails() -> None:
    lines = "path: |-\n          {% set a = 1 %}\n          {{ a }}\n          {{ nwo_utc() }}"
    text = GOOD.replace(
        "      requester: {<<: *requester, path: keepers}", f"      requester:\n        <<: *requester\n        {lines}"
    )
    (defect,) = validate(text)
    assert "there is no function nwo_utc (line 3 of the template)" in defect.message


def test_what_templates_may_have_is_no_defect() -> None:
    for template in (
        "{{ config.get('a') }}{{ parameters['x'] }}{{ stream_interval.start_time }}{{ stream_partition['id'] }}",
        "{% set found = namespace(x=1) %}{% macro f(y) %}{{ y }}{% endmacro %}{{ f(found.x) }}{{ record.__typename }}",
        "{{ now_utc().strftime('%Y') }}{{ today_with_timezone('Europe/Berlin') }}{{ record._id }}{{ last_record.id }}",
        "{{ next_page_token['next_page_token'] }}{{ response.a }}{{ headers['x'] }}{{ config['nothing']['deep'] }}",
    ):
        text = GOOD.replace("path: keepers", f"path: {json.dumps(template)}")
        assert validate(text) == [], template
    described = GOOD.replace("    name: keepers", "    name: keepers\n    description: 'Use {{ anything }}.'")
    assert [item for item in validate(described) if "anything" in item.message] == []


CONSENT = """\
  advanced_auth:
    auth_flow_type: oauth2.0
    oauth_config_specification:
      oauth_connector_input_specification:
        consent_url: "https://{{ host }}/auth?{{ client_id_param }}&c={{ state_value | codeChallengeS256 }}"
        access_token_url: "https://{{ host }}/token?r={{ {{ redirect_uri_value }} | urlEncoder }}"
        access_token_headers:
          Authorization: "Basic {{ (client_id_value ~ ':' ~ client_secret_value) | base64Encoder }}"
"""


def test_the_templates_of_a_consent_have_their_own_names_and_filters() -> None:
    assert validate(GOOD + CONSENT) == []
    wrong = CONSENT.replace("client_id_param", "client_param").replace("base64Encoder", "base65Encoder")
    first, second = validate(GOOD + wrong)
    assert "names client_param, and there is no such value" in first.message
    assert "base65Encoder" in second.message
    assert second.path.endswith("oauth_connector_input_specification.access_token_headers")
    assert second.line == first.line + 3
    (no_url,) = validate(GOOD + CONSENT.replace("consent_url", "consentUrl"))
    assert "has no consent_url" in no_url.message


def test_templates_are_rendered_only_until_their_time_is_used() -> None:
    wide = "{{ 'x' * 99999999 }}"
    assert len(list(TemplateCheck({}, Templates({})).defects(wide, "a"))) == 1
    check = TemplateCheck({}, Templates({}), seconds=0)
    assert list(check.defects(wide, "a")) == []
    assert len(list(check.defects("{{ confg }}", "a"))) == 1


def test_every_reference_that_leads_nowhere_is_told() -> None:
    text = "version: 1\nstreams:\n  - $ref: '#/a'\n  - '#/b/c'\n  - {x: '#/streams/2'}\n"
    result = validate(text)
    assert [item.line for item in result] == [3, 4, 5]
    assert "circular" in result[2].message


def test_what_is_no_manifest_is_said_and_nothing_crashes() -> None:
    for text in ("", "just words", "- a\n- b\n", "streams: 5\n", "streams: [5, null]\n", "check: []\nstreams: [{}]\n"):
        assert validate(text), text
    assert validate({"streams": []})[0].line == 0


def test_a_given_configuration_takes_the_place_of_the_example() -> None:
    assert validate(GOOD, {"host": "a.example.com", "since": "2024-01-01T00:00:00Z"}) == []


def test_hostile_texts_are_told_and_not_expanded() -> None:
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 25))
    assert "grows beyond" in validate(laughs + GOOD)[0].message
    assert validate("streams: &s\n  - *s\n")
    assert "nested" in validate("streams: " + "[" * 5000)[0].message


def test_streams_of_one_name_may_stand_under_different_conditions() -> None:
    stream = """
      - type: DeclarativeStream
        name: beasts
        retriever:
          type: SimpleRetriever
          requester: {type: HttpRequester, url_base: "https://zoo.example", path: /beasts}
          record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
"""
    head = "version: 6.48.0\ntype: DeclarativeSource\ncheck: {type: CheckStream, stream_names: [beasts]}\nstreams:\n"

    def messages_of(*conditions: str) -> list[str]:
        parts = [
            f'  - type: ConditionalStreams\n    condition: "{{{{ {condition} }}}}"\n    streams:{stream}'
            for condition in conditions
        ]
        return [defect.message for defect in validate(head + "".join(parts))]

    assert messages_of("config.get('a')", "not config.get('a')") == []
    assert messages_of("config.get('a')", "config.get('a')") == ["two streams have the name beasts"]


def test_a_defect_in_an_end_of_credentials_is_told_at_its_place() -> None:
    (defect,) = validate(GOOD + "\ncredential_ends:\n  - {type: CredentialEnd, name: The token}\n")
    assert (defect.path.startswith("credential_ends[0]"), "at" in defect.message) == (True, True)
