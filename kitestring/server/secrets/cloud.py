"""References to the secret managers of AWS, Google and Azure, each by the vendor's own library for credentials.

    ${aws:NAME#FIELD}              a secret's name or ARN; FIELD of its JSON, where it is an object
    ${gcp:PROJECT/NAME#FIELD}      its newest version; PROJECT/NAME/VERSION is another
    ${azure:VAULT/NAME#FIELD}      likewise

The credentials are those that the machine has: variables, files, or the role of an instance or a pod.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from kitestring.errors import AuthError, ConfigError, KitestringError

GOOGLE = "https://secretmanager.googleapis.com"
GOOGLE_URL = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"
"""The variable by which Google's own tools are sent to another endpoint (a private one)."""
AZURE_URL = "KITESTRING_AZURE_VAULT_URL"
AZURE_VERSION = "7.4"
TIMEOUT_S = 15


def of_aws(name: str) -> str:
    """AWS Secrets Manager. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html"""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise lacking("aws", error) from error
    secret, _, field = name.partition("#")
    region = secret.split(":")[3] if secret.startswith("arn:") and secret.count(":") >= 6 else None
    options = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 3})
    try:
        client = boto3.session.Session().client("secretsmanager", region_name=region, config=options)
        answer = client.get_secret_value(SecretId=secret)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code == "ResourceNotFoundException":
            raise absent("AWS Secrets Manager", secret) from None
        raise refused("AWS Secrets Manager", secret, code) from None
    except BotoCoreError as error:
        raise ConfigError(
            f"the secret {secret} cannot be read from AWS Secrets Manager: {error}",
            hint="Set AWS_REGION, and credentials that boto3 finds, where the workers run.",
        ) from None
    text = answer.get("SecretString")
    return field_of(text if text is not None else answer["SecretBinary"].decode(), secret, field)


def of_gcp(name: str) -> str:
    """Google Secret Manager.
    https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access"""
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
    except ImportError as error:
        raise lacking("gcp", error) from error
    path, parts, field = split_name(name, "Google", "gcp:PROJECT/NAME#FIELD")
    project, secret, version = [*parts, "latest"][:3]
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        credentials.refresh(Request())
    except GoogleAuthError as error:
        raise ConfigError(
            f"the secret {path} cannot be read from Google Secret Manager: {error}",
            hint="Set GOOGLE_APPLICATION_CREDENTIALS, or give the workers' machine a service account.",
        ) from None
    base = os.environ.get(GOOGLE_URL) or GOOGLE
    answer = fetched(
        "Google Secret Manager", path, base, f"v1/projects/{project}/secrets/{secret}/versions/{version}:access",
        credentials.token,
    )  # fmt: skip
    return field_of(base64.b64decode(answer["payload"]["data"]).decode(), path, field)


def of_azure(name: str) -> str:
    """Azure Key Vault. https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret"""
    try:
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise lacking("azure", error) from error
    path, parts, field = split_name(name, "Azure", "azure:VAULT/NAME#FIELD")
    base = os.environ.get(AZURE_URL, "https://{vault}.vault.azure.net").replace("{vault}", parts[0])
    try:
        with DefaultAzureCredential(exclude_interactive_browser_credential=True) as credential:
            token = credential.get_token("https://vault.azure.net/.default").token
    except ClientAuthenticationError as error:
        raise ConfigError(
            f"the secret {path} cannot be read from Azure Key Vault: {str(error).splitlines()[0]}",
            hint="Set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or give the machine an identity.",
        ) from None
    answer = fetched("Azure Key Vault", path, base, f"secrets/{'/'.join(parts[1:])}?api-version={AZURE_VERSION}", token)
    return field_of(str(answer["value"]), path, field)


def fetched(vendor: str, secret: str, base: str, path: str, token: str) -> Mapping[str, Any]:
    """The JSON that a vendor answers to a GET with this token."""
    from kitestring.http import Session

    headers = {"Authorization": f"Bearer {token}"}
    with Session(base_url=base.rstrip("/"), headers=headers, secrets=[token], timeout_s=TIMEOUT_S) as http:
        try:
            answer = http.get(path)
        except AuthError:
            raise refused(vendor, secret, "access denied") from None
        except ConfigError:
            raise absent(vendor, secret) from None
        except KitestringError as error:
            raise ConfigError(
                f"the secret {secret} cannot be read from {vendor}: {error.message}",
                hint="Check the network of the workers.",
            ) from None
    if not isinstance(answer, Mapping):
        raise ConfigError(f"the answer of {vendor} for {secret} is not JSON", hint="Check the address of the request.")
    return answer


def field_of(text: str, secret: str, field: str) -> str:
    """The whole secret, or with a name the field of its JSON."""
    if not field:
        return text
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, Mapping) or field not in values:
        hint = f"It has: {', '.join(map(str, values))}." if isinstance(values, Mapping) else "It is not a JSON object."
        raise ConfigError(f"the secret {secret} has no field {field}", hint=hint)
    return str(values[field])


def split_name(name: str, vendor: str, form: str) -> tuple[str, list[str], str]:
    """The path of a secret, its two or three parts, and the field. `ConfigError` for other parts than plain names: they
    could lead to another address."""
    path, _, field = name.partition("#")
    parts = path.split("/")
    plain = all(part and part.replace("-", "").replace("_", "").isalnum() and part.isascii() for part in parts)
    if len(parts) not in (2, 3) or not plain:
        raise ConfigError(f"{path} names no secret of {vendor}'s", hint=f"Write ${{{form}}}.")
    return path, parts, field


def lacking(extra: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"the configuration refers to a secret manager whose library is not installed: {error.name}",
        hint=f"pip install 'kitestring[{extra}]'",
    )


def absent(vendor: str, secret: str) -> ConfigError:
    return ConfigError(f"{vendor} has no secret {secret}", hint="Check its name, its project or vault, and the region.")


def refused(vendor: str, secret: str, why: str) -> ConfigError:
    return ConfigError(
        f"{vendor} does not let the server read {secret}: {why}",
        hint="Give the workers' identity the right to read it.",
    )
