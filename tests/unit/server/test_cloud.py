"""Secrets that a cloud keeps: the vendors' own libraries, over HTTP, against stand-ins for their documented APIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from kitestring.errors import ConfigError
from kitestring.server.secrets.references import resolve
from kitestring.testing.stand_in import Answer, StandIn, route

pytest.importorskip("boto3")
SECRET = {"token": "the t0ken", "user": "ann"}


class Aws(StandIn):
    """Secrets Manager: one POST, the action in a header, JSON 1.1, Signature Version 4."""

    @route("POST", "/")
    def action(self, call: Any) -> Any:
        if "Credential=AKIAGOOD/" not in call.headers.get("authorization", ""):
            return self.no("UnrecognizedClientException", "The security token included in the request is invalid.")
        assert call.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
        name = call.json()["SecretId"]
        if name == "kitestring/denied":
            return self.no("AccessDeniedException", "not authorized to perform: secretsmanager:GetSecretValue")
        if not name.endswith("zendesk"):
            return self.no("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return {"Name": name, "SecretString": json.dumps(SECRET)}

    def no(self, kind: str, message: str) -> Answer:
        return Answer(400, {"__type": kind, "message": message})


class Google(StandIn):
    """The token endpoint of OAuth for service accounts, and the access to a version of a secret."""

    @route("POST", "/token")
    def token(self, call: Any) -> Any:
        assert parse_qs(call.body.decode())["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        return {"access_token": "ya29.good", "expires_in": 3600, "token_type": "Bearer"}

    @route("GET", "/v1/projects/{project}/secrets/{name}/versions/{version}")
    def access(self, call: Any, project: str, name: str, version: str) -> Any:
        assert call.headers["authorization"] == "Bearer ya29.good"
        if name == "denied":
            return Answer(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})
        if name != "zendesk" or version not in ("latest:access", "3:access"):
            return Answer(404, {"error": {"code": 404, "status": "NOT_FOUND"}})
        return {"payload": {"data": base64.b64encode(json.dumps(SECRET).encode()).decode()}}


class Azure(StandIn):
    """The identity endpoint of App Service, and a key vault."""

    @route("GET", "/identity")
    def identity(self, call: Any) -> Any:
        if call.headers.get("x-identity-header") != "the-header":
            return Answer(401, {"statusCode": 401, "message": "unauthorized"})
        assert call.param("resource") == "https://vault.azure.net"
        return {"access_token": "eyJ.good", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}

    @route("GET", "/acme/secrets/{name}")
    def secret(self, call: Any, name: str) -> Any:
        assert call.headers["authorization"] == "Bearer eyJ.good"
        if name == "denied":
            return Answer(403, {"error": {"code": "Forbidden"}})
        if name != "zendesk":
            return Answer(404, {"error": {"code": "SecretNotFound"}})
        return {"value": json.dumps(SECRET), "id": "https://acme.vault.azure.net/secrets/zendesk/1"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with Aws() as api:
        for name, value in {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": api.url,
            "AWS_ACCESS_KEY_ID": "AKIAGOOD",
            "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_CONFIG_FILE": "/nowhere",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        }.items():
            monkeypatch.setenv(name, value)
        yield api


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    with Google() as api:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {"type": "service_account", "client_email": "kite@acme.iam.gserviceaccount.com", "project_id": "acme"}
        account |= {"private_key": key.decode(), "private_key_id": "1", "token_uri": f"{api.url}/token"}
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", f"{api.url}/")
        yield api


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with Azure() as api:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{api.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "the-header")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        monkeypatch.setenv("KITESTRING_AZURE_VAULT_URL", f"{api.url}/{{vault}}")
        yield api


def error_of(reference: str, allowed: list[str]) -> str:
    with pytest.raises(ConfigError) as error:
        resolve(reference, allowed)
    output = f"{error.value.message} {error.value.hint}"
    assert SECRET["token"] not in output
    assert "secret-of-aws" not in output
    return output


@pytest.mark.slow
def test_aws_secrets_manager_is_asked_by_name_or_arn_for_the_whole_or_a_field(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = ["aws:kitestring/*", "aws:arn:aws:secretsmanager:*"]
    assert json.loads(resolve("${aws:kitestring/zendesk}", allowed)) == SECRET
    assert resolve("${aws:kitestring/zendesk#token}", allowed) == SECRET["token"]
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:zendesk"
    assert resolve(f"${{aws:{arn}#user}}", allowed) == "ann"
    assert "us-east-1" in aws.requests[-1].headers["authorization"]
    assert "has no field pin It has: token, user" in error_of("${aws:kitestring/zendesk#pin}", allowed)
    assert "has no secret kitestring/other" in error_of("${aws:kitestring/other}", allowed)
    assert "does not let the server read" in error_of("${aws:kitestring/denied}", allowed)
    assert "does not let connectors use it" in error_of("${aws:others/zendesk}", allowed)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIABAD")
    assert "UnrecognizedClientException" in error_of("${aws:kitestring/zendesk}", allowed)


def test_aws_without_an_answer_or_credentials_says_what_to_set(monkeypatch: pytest.MonkeyPatch, aws: Aws) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    assert "cannot be read from" in error_of("${aws:kitestring/zendesk}", ["aws:*"])
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "Set AWS_REGION, and credentials" in error_of("${aws:kitestring/zendesk}", ["aws:*"])


def test_google_secret_manager_is_asked_with_a_service_account(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = ["gcp:acme/*"]
    assert resolve("${gcp:acme/zendesk#token}", allowed) == SECRET["token"]
    assert json.loads(resolve("${gcp:acme/zendesk/3}", allowed)) == SECRET
    assert "has no secret acme/other" in error_of("${gcp:acme/other}", allowed)
    assert "does not let the server read acme/denied" in error_of("${gcp:acme/denied}", allowed)
    assert "names no secret" in error_of("${gcp:acme/../projects/x}", allowed)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    assert "Set GOOGLE_APPLICATION_CREDENTIALS" in error_of("${gcp:acme/zendesk}", allowed)


def test_azure_key_vault_is_asked_with_the_identity_of_the_machine(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = ["azure:acme/*"]
    assert resolve("${azure:acme/zendesk#token}", allowed) == SECRET["token"]
    assert "has no secret acme/other" in error_of("${azure:acme/other}", allowed)
    assert "does not let the server read acme/denied" in error_of("${azure:acme/denied}", allowed)
    assert "names no secret" in error_of("${azure:acme/zendesk?x=/y}", allowed)
    monkeypatch.setenv("IDENTITY_HEADER", "another")
    assert "cannot be read from" in error_of("${azure:acme/zendesk}", allowed)


def test_a_library_that_is_missing_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module, reference, extra in (
        ("boto3", "${aws:x}", "aws"),
        ("google.auth", "${gcp:a/b}", "gcp"),
        ("azure.identity", "${azure:a/b}", "azure"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        assert f"kitestring[{extra}]" in error_of(reference, [f"{extra}:*"])
