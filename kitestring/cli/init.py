"""`kitestring init` writes a commented project file; `kitestring schema` prints its JSON Schema."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from kitestring.cli.proposal import CONFLUENCE, JIRA, LINEAR, STREAMS, processing

ZENDESK = """\
# https://YOUR_SUBDOMAIN.zendesk.com
subdomain: ${ZENDESK_SUBDOMAIN}
# Nothing older than this is read.
start_date: "2024-01-01T00:00:00Z"
credentials:
  # Admin Center > Apps and integrations > APIs > OAuth clients: add one of the kind Confidential.
  credentials: client_credentials
  # Its identifier, and the secret that is shown once.
  client_id: ${ZENDESK_CLIENT_ID}
  client_secret: ${ZENDESK_CLIENT_SECRET}
"""

GITHUB = """\
repositories: [your-organization/your-repository]
start_date: "2024-01-01T00:00:00Z"
credentials:
  option_title: PAT Credentials
  personal_access_token: ${GITHUB_TOKEN}
"""

POSTGRES = """\
host: ${PGHOST:-localhost}
port: 5432
database: ${PGDATABASE:-postgres}
username: ${PGUSER:-postgres}
password: ${PGPASSWORD:-}
"""

MILVUS = """\
processing:
  # Tokens in a chunk, in the embedding model's own encoding.
  chunk_size: 200
  chunk_overlap: 20
{processing}
embedding:
  # A small model that comes with `kitestring[local]`: no key, no network. For a larger one:
  #   mode: openai
  #   openai_key: ${OPENAI_API_KEY}
  mode: local
indexing:
  # A file of Milvus Lite; or http://localhost:19530, or a Zilliz Cloud endpoint with its token below.
  host: ./kitestring.db
  collection: {collection}
  auth:
    mode: no_auth
"""

DUCKDB = """\
path: ./kitestring.duckdb
"""

AIRBYTE = """\
# A package of PyPI with its version, installed into an environment of its own.
# Instead of it: `path`, a program; `command`, one with arguments; `image`, a container image.
package: {package}
# The connector's own configuration.
config: {config}
"""

SNIPPETS = {
    ("source", "zendesk_support"): ZENDESK,
    ("source", "github"): GITHUB,
    ("source", "jira"): JIRA,
    ("source", "confluence"): CONFLUENCE,
    ("source", "linear"): LINEAR,
    ("source", "postgres"): POSTGRES,
    ("source", "sample"): "count: 1000\n",
    ("source", "airbyte"): AIRBYTE.format(package="airbyte-source-faker==7.2.1", config="{count: 1000}"),
    ("destination", "airbyte"): AIRBYTE.format(package="airbyte-destination-pgvector==0.1.13", config="{}"),
    ("source", "singer"): AIRBYTE.format(package="tap-jsonl==0.3.1", config='{path: "in/*.jsonl"}'),
    ("destination", "milvus"): MILVUS,
    ("destination", "duckdb"): DUCKDB,
}
COLLECTIONS = {"zendesk_support": "helpdesk"}
NAMES = {"zendesk_support": "zendesk", "milvus": "milvus"}


def init(
    folder: Annotated[str, typer.Argument(help="Where. Default: here.")] = ".",
    source: Annotated[str, typer.Option(help="The source's connector.")] = "zendesk_support",
    destination: Annotated[str, typer.Option(help="The destination's connector.")] = "milvus",
    only_print: Annotated[bool, typer.Option("--print", help="Print the file and write nothing.")] = False,
) -> None:
    """Write a commented kitestring.yaml, and the schema by which an editor completes and checks it.

    \b
    kitestring init
    kitestring init shop --source postgres --destination duckdb
    """
    from kitestring import library, project
    from kitestring.errors import ConfigError

    text = written(source, destination)
    if only_print:
        typer.echo(text, nl=False)
        return
    place = Path(folder).expanduser()
    path = place / project.NAMES[0]
    for name in project.NAMES:
        if (place / name).exists():
            raise ConfigError(f"{place / name} is there already", hint="Choose another folder, or edit that file.")
    try:
        library.private(place / library.HOME)
        (place / library.HOME / "schema.json").write_text(json.dumps(project.schema(), indent=1) + "\n", "utf-8")
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Choose another folder.") from error
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", re.sub(r"#.*", "", text)))
    typer.echo(f"Wrote {path}. Next:")
    step = 1
    if variables:
        typer.echo(f"  {step}. set {', '.join(variables)} in your environment, or write the values into the file")
        step += 1
    for line in ("kitestring check", "kitestring sync --dry-run", "kitestring sync"):
        typer.echo(f"  {step}. {line}")
        step += 1


def written(source: str, destination: str) -> str:
    """The project file for these two connectors."""
    from kitestring import registry

    reader, writer = registry.connector("source", source), registry.connector("destination", destination)
    first, last = NAMES.get(reader.name, reader.name), NAMES.get(writer.name, writer.name)
    last = last if last != first else f"{last}_out"
    connection = f"{first}_to_{last}"
    connector = source if source.endswith((".yaml", ".yml")) else reader.name
    streams = STREAMS.get(reader.name)
    chosen = (
        f"# All that the source has: kitestring discover {first}\n    streams: [{', '.join(streams)}]"
        if streams
        else f"# Default: all streams. `kitestring discover {first}` shows them.\n    # streams: [...]"
    )
    return f"""\
# yaml-language-server: $schema=.kitestring/schema.json
#
# A Kitestring project: what moves from where to where.
#   kitestring check     tests both ends
#   kitestring sync      copies what is new
#   kitestring spec X    lists every option of a connector
# ${{NAME}} and ${{NAME:-default}} are environment variables: keep secrets there.

sources:
  {first}:
    connector: {connector}
    config:
{textwrap.indent(snippet("source", reader), " " * 6)}
destinations:
  {last}:
    connector: {writer.name}
    config:
{textwrap.indent(snippet("destination", writer, reader.name), " " * 6)}
connections:
  {connection}:
    source: {first}
    destination: {last}
    {chosen}
    # A stream may have options of its own:
    #   - name: tickets
    #     sync_mode: incremental          # or full_refresh
    #     write_mode: append_dedup        # or append, overwrite
    #     fields: [id, subject, user.email]
"""


def snippet(kind: str, connector: Any, source: str = "") -> str:
    """The configuration part for a connector: written by hand, or made from its form."""
    known = SNIPPETS.get((kind, connector.name))
    if known is MILVUS:
        collection = COLLECTIONS.get(source) or re.sub(r"\W", "_", source) or "records"
        return known.replace("{processing}\n", textwrap.indent(processing(source), "  ")).replace(
            "{collection}", collection
        )
    return known if known is not None else from_form(connector.spec()) or "{}\n"


def from_form(form: dict[str, Any]) -> str:
    """YAML from a form: what is required with a place to fill in, secrets as variables, the rest as comments."""
    lines: list[str] = []
    required = set(form.get("required", ()))
    properties = form.get("properties", {})
    for name in sorted(properties, key=lambda n: (n not in required, properties[n].get("order", 99))):
        one = properties[name]
        about = " ".join(str(one.get("description") or one.get("title") or "").split())
        mark = "" if name in required or "const" in one else "# "
        if about:
            lines.extend(f"# {line}" for line in textwrap.wrap(about, 100))
        inner = one["oneOf"][0] if one.get("oneOf") else one
        if inner.get("properties"):
            below = textwrap.indent(from_form(inner), "  ")
            lines.append(f"{mark}{name}:")
            lines.extend(f"{mark}{line}" for line in below.splitlines())
        else:
            lines.append(f"{mark}{name}: {sample_value(name, one)}")
    return "".join(f"{line}\n" for line in lines)


def sample_value(name: str, form: dict[str, Any]) -> str:
    if "const" in form:
        return json.dumps(form["const"])
    if form.get("airbyte_secret"):
        return f"${{{re.sub(r'[^A-Za-z0-9]+', '_', name).upper()}}}"
    if form.get("default") is not None:
        return json.dumps(form["default"])
    if form.get("examples"):
        return json.dumps(form["examples"][0])
    if form.get("enum"):
        return json.dumps(form["enum"][0])
    return {"integer": "0", "number": "0", "boolean": "false", "array": "[]", "object": "{}"}.get(
        str(form.get("type")), '""'
    )


def schema() -> None:
    """Print the JSON Schema of kitestring.yaml, for editors.

    \b
    kitestring schema > .kitestring/schema.json
    # and as the first line of kitestring.yaml:
    # yaml-language-server: $schema=.kitestring/schema.json
    """
    from kitestring import project

    typer.echo(json.dumps(project.schema(), indent=2))
