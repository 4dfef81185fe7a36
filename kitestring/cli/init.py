"""`kitestring init` writes a commented project file; `kitestring schema` prints its JSON Schema."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kitestring.facts import Facts, Proposal
    from kitestring.registry import Connector

PROCESSING_COMMENT = """\
# What is embedded, and what is stored beside it to filter by. Left out: all fields.
# text_fields: [title, body]
# metadata_fields: [id]
"""
PROCESSING = """\
# What is embedded, and what is stored beside it to filter by. Empty: all fields.
text_fields: [{text_fields}]
metadata_fields: [{metadata_fields}]
"""


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
    from kitestring import home_folder, project, project_file
    from kitestring.errors import ConfigError

    text = project_text(source, destination)
    if only_print:
        typer.echo(text, nl=False)
        return
    place = Path(folder).expanduser()
    path = place / project.NAMES[0]
    for name in project.NAMES:
        if (place / name).exists():
            raise ConfigError(f"{place / name} is there already", hint="Choose another folder, or edit that file.")
    try:
        home_folder.private(place / home_folder.HOME)
        (place / home_folder.HOME / "schema.json").write_text(
            json.dumps(project_file.schema(), indent=1) + "\n", "utf-8"
        )
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Choose another folder.") from error
    typer.echo(f"Wrote {path}. Next:")
    steps = [*open_values(text), "kitestring check", "kitestring sync --dry-run", "kitestring sync"]
    for number, step in enumerate(steps, 1):
        typer.echo(f"  {number}. {step}")


def open_values(text: str) -> list[str]:
    """The open values of a project file: variables without a value, variables with one, values that are empty."""
    active = re.sub(r"#.*", "", text)
    steps = []
    for pattern, step in (
        (r"\$\{(\w+)\}", "set {} in your environment, or write the values into the file"),
        (r"\$\{(\w+):-", "set {} where the defaults do not fit, or write the values into the file"),
        (r'(?m)^ *(\w+): ""$', "fill in what is empty in the file: {}"),
    ):
        if names := dict.fromkeys(re.findall(pattern, active)):
            steps.append(step.format(", ".join(names)))
    return steps


def project_text(source: str, destination: str) -> str:
    """The project file for these two connectors."""
    from kitestring import registry

    reader, writer = registry.connector("source", source), registry.connector("destination", destination)
    read, wrote = proposal_of(reader), proposal_of(writer)
    first, last = read.name or reader.name, wrote.name or writer.name
    last = last if last != first else f"{last}_out"
    connection = f"{first}_to_{last}"
    connector = source if source.endswith((".yaml", ".yml")) else reader.name
    chosen = (
        f"# All that the source has: kitestring discover {first}\n    streams: [{', '.join(read.streams)}]"
        if read.streams
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
{textwrap.indent(snippet(reader, read, read), " " * 6)}
destinations:
  {last}:
    connector: {writer.name}
    config:
{textwrap.indent(snippet(writer, wrote, read, reader.name), " " * 6)}
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


def proposal_of(connector: Connector) -> Proposal:
    """A connector's proposal; an empty one where its packages are missing."""
    from kitestring.errors import ConfigError
    from kitestring.facts import Facts

    try:
        facts: Facts = connector.facts()
    except ConfigError:
        facts = Facts()
    return facts.proposal


def snippet(connector: Connector, proposal: Proposal, source: Proposal, name: str = "") -> str:
    """The configuration part for a connector: what it proposes, or one made from its form. `source` and `name` are
    those that a destination is to be filled from."""
    if not proposal.config:
        return from_form(connector.spec()) or "{}\n"
    collection = source.collection or re.sub(r"\W", "_", name) or "records"
    lines = []
    for line in proposal.config.splitlines():
        if line.strip() == "{processing}":
            indent = line[: len(line) - len(line.lstrip())]
            lines += [f"{indent}{part}" for part in processing(source).splitlines()]
        else:
            lines.append(line.replace("{collection}", collection) if name else line)
    return "".join(f"{line}\n" for line in lines)


def processing(source: Proposal) -> str:
    """The fields of a source that a vector destination embeds and stores."""
    if not source.text_fields:
        return PROCESSING_COMMENT
    fields = {name: ", ".join(getattr(source, name)) for name in ("text_fields", "metadata_fields")}
    return PROCESSING.format(**fields)


def from_form(form: dict[str, Any]) -> str:
    """YAML from a form: what is required with a place to fill in, secrets as variables, the rest as comments."""
    lines: list[str] = []
    required = set(form.get("required", ()))
    properties = form.get("properties", {})
    for name in sorted(properties, key=lambda n: (n not in required, properties[n].get("order", 99))):
        option = properties[name]
        about = " ".join(str(option.get("description") or option.get("title") or "").split())
        mark = "" if name in required or "const" in option else "# "
        if about:
            lines.extend(f"# {line}" for line in textwrap.wrap(about, 100))
        inner = option["oneOf"][0] if option.get("oneOf") else option
        if inner.get("properties"):
            below = textwrap.indent(from_form(inner), "  ")
            lines.append(f"{mark}{name}:")
            lines.extend(f"{mark}{line}" for line in below.splitlines())
        else:
            lines.append(f"{mark}{name}: {sample_value(name, option)}")
    return "".join(f"{line}\n" for line in lines)


def sample_value(name: str, form: dict[str, Any]) -> str:
    if "const" in form:
        return json.dumps(form["const"])
    if form.get("airbyte_secret"):
        return f"${{{re.sub(r'[^A-Za-z0-9]+', '_', name).upper()}}}"
    if form.get("default") is not None:
        return json.dumps(form["default"])
    if form.get("examples"):
        example = form["examples"][0]
        return json.dumps([example] if form.get("type") == "array" and not isinstance(example, list) else example)
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
    from kitestring import project_file

    typer.echo(json.dumps(project_file.schema(), indent=2))
