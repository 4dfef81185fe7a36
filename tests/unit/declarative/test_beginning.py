"""The beginnings of a connector: each gives a manifest that is valid, reads its API, and holds no secret."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from first_manifest import SECRET, manifest_of, requester_of
from loopback import Api

from kitestring.declarative.builder import read, validate
from kitestring.declarative.builder.beginning import begin
from kitestring.declarative.builder.curl import parse_curl
from kitestring.declarative.builder.manifest_plan import ManifestPlan, Parent, StreamPlan
from kitestring.declarative.manifest import parse, resolve
from kitestring.errors import ConfigError


def test_an_address_becomes_a_stream_with_its_parameters_and_paging() -> None:
    beginning = begin("url", url="https://api.example.com/v2/tickets.json?page=1&per_page=50&sort=created&tag=a&tag=b")
    requester = requester_of(manifest_of(beginning))
    assert (requester["url_base"], requester["path"]) == ("https://api.example.com", "v2/tickets.json")
    assert requester["request_parameters"] == {"per_page": "50", "sort": "created", "tag": ["a", "b"]}
    assert [(stream.name, stream.path) for stream in beginning.streams] == [("tickets", "/v2/tickets.json")]
    paginator = yaml.safe_load(beginning.manifest)["streams"][0]["retriever"]["paginator"]
    # The API may grant less than 50; a page of fewer records would end a read with a page size.
    assert "page_size" not in paginator["pagination_strategy"]


@pytest.mark.parametrize("text", ["", "nonsense", "ftp://a.b/c", "https://", "file:///etc/passwd", "https://a b/c"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        begin("url", url=text)


@pytest.mark.parametrize(
    ("options", "authenticator", "configuration"),
    [
        (f"-H 'Authorization: Bearer {SECRET}'", "BearerAuthenticator", {"api_token": SECRET}),
        (f"-H 'authorization: Token {SECRET}'", "ApiKeyAuthenticator", {"api_token": SECRET}),
        (f"-H 'X-Api-Key: {SECRET}'", "ApiKeyAuthenticator", {"api_key": SECRET}),
        (f"-u ada:{SECRET}", "BasicHttpAuthenticator", {"username": "ada", "password": SECRET}),
        (
            "-H 'Authorization: Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode() + "'",
            "BasicHttpAuthenticator",
            {"username": "ada", "password": SECRET},
        ),
        (f"-b 'session={SECRET}; theme=dark'", "ApiKeyAuthenticator", {"cookie": f"session={SECRET}; theme=dark"}),
        (f"--oauth2-bearer {SECRET}", "BearerAuthenticator", {"api_token": SECRET}),
        (f"-G -d api_key={SECRET} -d open=yes", "ApiKeyAuthenticator", {"api_key": SECRET}),
        ('-H "Authorization: Bearer $TOKEN"', "BearerAuthenticator", {}),
        ("-H 'Authorization: Bearer <your token>'", "BearerAuthenticator", {}),
    ],
)
def test_the_credentials_of_a_curl_line_are_inputs(options: str, authenticator: str, configuration: Any) -> None:
    beginning = begin("curl", f"curl {options} https://api.example.com/v1/things")
    values = manifest_of(beginning)
    assert requester_of(values)["authenticator"]["type"] == authenticator
    assert beginning.test_configuration == configuration
    form = values["spec"]["connection_specification"]
    assert form["required"] == list(form["properties"])
    secrets = [name for name, field in form["properties"].items() if field.get("airbyte_secret")]
    assert secrets == [name for name in form["properties"] if name != "username"]


def test_the_calls_of_a_curl_line_arrive_as_curl_would_have_sent_them(api: Api) -> None:
    api.answers["/v1/search"] = {"data": [{"id": 1}]}
    beginning = begin(
        "curl",
        f"curl '{api.url}/v1/search?kind=a%20b' --compressed \\\n  -H 'accept: application/vnd.x+json' \\\n"
        f"  -H 'x-tenant-key: {SECRET}' -H 'sec-fetch-mode: cors' -H 'User-Agent: Mozilla' \\\n"
        """  --data-raw $'{"q": "it\\'s {{here}}", "deep": {"tokens": ["x"], "password": "pass-word-1"}}'"""
        " -H 'content-type: application/json'",
    )
    values = manifest_of(beginning)
    values["streams"][0]["retriever"]["record_selector"]["extractor"]["field_path"] = ["data"]
    result = read(values, beginning.test_configuration, "search")
    assert (result.error, len(result.records)) == ("", 1)
    (call,) = api.calls
    assert (call.method, call.query) == ("POST", {"kind": "a b"})
    assert call.json == {"q": "it's {{here}}", "deep": {"tokens": ["x"], "password": "pass-word-1"}}
    assert call.headers["accept"] == "application/vnd.x+json"
    assert call.headers["x-tenant-key"] == SECRET
    assert "sec-fetch-mode" not in call.headers
    assert "Mozilla" not in call.headers["user-agent"]
    assert "pass-word-1" not in beginning.manifest


@pytest.mark.parametrize(
    "command",
    [
        'curl "https://a.example/x?a=1" ^\n  -H "accept: text/x" ^\n  --data-raw "^{^\\^"a^\\^":1^}"',
        "curl https://a.example/x?a=1 `\n  -H 'accept: text/x' `\n  -d '{\"a\":1}'",
        "$ curl -sSL -XPOST https://a.example/x?a=1 -H'accept: text/x' -d'{\"a\":1}' | jq .",
        "curl --url=https://a.example/x?a=1 --header='accept: text/x' --json '{\"a\":1}' -o out.json",
    ],
)
def test_commands_of_all_shells_are_read(command: str) -> None:
    call, notes = parse_curl(command)
    assert (call.method, call.url, call.header("accept")) == ("POST", "https://a.example/x?a=1", "text/x")
    assert (json.loads(call.body), notes) == ({"a": 1}, [])


def test_a_form_of_a_curl_line_is_a_form() -> None:
    beginning = begin("curl", f"curl https://a.example/x -d a=1 --data-urlencode 'b=c d' -d client_secret={SECRET}")
    assert requester_of(manifest_of(beginning))["request_body_data"] == {
        "a": "1",
        "b": "c d",
        "client_secret": "{{ config['client_secret'] }}",
    }


def test_a_curl_line_reads_no_file(tmp_path: Any) -> None:
    (tmp_path / "secret").write_text(SECRET)
    beginning = begin(
        "curl", f"curl https://a.example/x -d @{tmp_path}/secret -H @{tmp_path}/secret -K {tmp_path}/secret"
    )
    assert len(beginning.notes) == 3
    manifest_of(beginning)


@pytest.mark.parametrize(
    "text",
    ["wget https://a.example", "curl", "curl -H", "curl 'https://a.example", "x" * 1_000_001, "curl -u", "curl ''"],
)
def test_what_is_no_command_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        begin("curl", text)
    assert caught.value.hint or "characters" in caught.value.message


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + "a1" * 18,
        "sk-live-" + "b2" * 12,
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
        "xoxb-123456789012-abc",
    ],
)
def test_a_token_is_known_by_its_look_wherever_it_stands(token: str) -> None:
    beginning = begin("curl", f"curl https://a.example/bot/{token}/things?state={token} -H 'X-Custom: {token}'")
    assert token not in beginning.manifest
    assert set(beginning.test_configuration.values()) == {token}
    assert validate(beginning.manifest) == []


def test_a_manifest_is_taken_as_it_is_and_its_python_components_are_named() -> None:
    text = (
        "# mine\nversion: 6.0.0\ntype: DeclarativeSource\ndefinitions: {x: &x {name: things}}\nstreams:\n  - <<: *x\n"
    )
    text += (
        "    retriever: {class_name: source_x.Retriever}\nspec: {connection_specification: {title: Source Acme Spec}}\n"
    )
    beginning = begin("manifest", text)
    assert beginning.manifest == text
    assert (beginning.name, [stream.name for stream in beginning.streams]) == ("Acme", ["things"])
    assert "source_x.Retriever" in beginning.notes[0]


def test_python_components_are_those_that_the_manifest_uses() -> None:
    """As a publication and a sync count them: through references, and without unused definitions and data."""
    text = yaml.safe_dump(
        {
            "definitions": {"used": {"class_name": "source_x.Used"}, "unused": {"class_name": "source_x.Unused"}},
            "streams": [
                {"name": "things", "retriever": "#/definitions/used"},
                {"name": "others", "fields": {"type": "AddFields", "class_name": "source_x.Data"}},
            ],
        }
    )
    notes = begin("manifest", text).notes
    assert len(notes) == 1
    assert "(source_x.Used)" in notes[0]


def test_a_manifest_whose_references_lead_nowhere_begins_and_lists_no_streams() -> None:
    beginning = begin("manifest", "streams:\n- {name: things, retriever: '#/definitions/retriever'}\n")
    assert (beginning.streams, beginning.notes) == ([], [])


def test_a_stream_is_referred_to_by_its_name_as_it_is() -> None:
    """References of the low-code language know no escapes: a key with slashes stands in them as it is."""
    plan = ManifestPlan("Shop", "https://shop.example")
    name = "orders/lines~1"
    plan.streams = [
        StreamPlan(name, "orders"),
        StreamPlan("notes", "orders/notes", parents=[Parent(name, "id", "order")]),
    ]
    streams = resolve(parse(plan.text()))["streams"]
    assert [stream["name"] for stream in streams] == [name, "notes"]
    parent = streams[1]["retriever"]["partition_router"]["parent_stream_configs"][0]["stream"]
    assert parent["name"] == name
    assert validate(plan.text()) == []


@pytest.mark.parametrize("text", ["a: [", "3", "[]", "version: 1", "x" * 4_000_001])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        begin("manifest", text)


def test_an_unknown_kind_and_an_empty_beginning_are_refused() -> None:
    with pytest.raises(ConfigError, match="not a kind"):
        begin("magic", "x")
    with pytest.raises(ConfigError, match="nothing to begin with"):
        begin("har", "  ")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.example.com/v1/things", "api.example.com"),
        ("http://127.0.0.1:8080/things", "Untitled connector"),
        ("http://[::1]/things", "Untitled connector"),
        ("http://localhost:8080/things", "Untitled connector"),
    ],
)
def test_a_connector_has_the_name_of_a_host_but_not_of_this_machine(url: str, name: str) -> None:
    assert begin("url", url=url).name == name
    assert begin("curl", f"curl '{url}'").name == name
