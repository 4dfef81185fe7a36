"""Find the defects of a manifest's templates before they are used: names, functions, attributes, endless work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.declarative import macro
from kitestring.declarative.consent_flow import ConsentFlow
from kitestring.declarative.template import EvaluationError, Templates, parsed_tree
from kitestring.errors import ConfigError, KitestringError
from kitestring.paths import value_at
from kitestring.suggest import did_you_mean

NAMES = frozenset(
    {
        *("config", "parameters", "stream_slice", "stream_interval", "stream_partition", "next_page_token", "record"),
        *("response", "headers", "last_record", "last_page_size", "page_size", "request_url", "session_token"),
        *("components_values", "creation_response", "polling_response", "download_target", "query_properties"),
        *("child_response", "parent_record", "stream_template_config", "value", "path", "property"),
        *("json_loads", "lookup"),
    }
)
"""The names that some template of a manifest can read. What is available at one place is a part of them."""
LONGEST_S = 2.0
"""Processor time for the values of all templates of a manifest that depend on the configuration alone."""
CONSENT = ("spec", "advanced_auth", "oauth_config_specification")
DESCRIBING = frozenset({"description", "title", "documentation_url", "$comment"})
"""Fields whose texts are never rendered."""


class TemplateCheck:
    """Checks the templates of one manifest. Those that depend on the configuration alone are also rendered, until
    `seconds` of processor time are used."""

    def __init__(self, manifest: Mapping[str, Any], templates: Templates, seconds: float = LONGEST_S) -> None:
        self._templates = templates
        self._names = NAMES | extra_names(manifest)
        self._seconds = seconds
        self._facts: dict[str, list[str]] = {}

    def defects(self, text: str, place: str) -> Iterator[tuple[str, str, str]]:
        """The defects of a template: path, message, hint."""
        try:
            template = self._templates.compile(text, {}, place, strict=True)
        except EvaluationError:
            return
        except KitestringError as error:
            yield place, error.message, error.hint
            return
        facts = self._facts.get(text)
        if facts is None:
            facts = self._facts[text] = list(dict.fromkeys(facts_of(text, self._names)))
        for fact in facts:
            yield place, fact, "Correct the template."
        if facts or not template.constant or self._seconds <= 0:
            return
        began = time.thread_time()
        try:
            template({})
        except EvaluationError:  # a value of the example may be missing
            pass
        except KitestringError as error:
            yield place, error.message, error.hint
        self._seconds -= time.thread_time() - began


def facts_of(text: str, names: frozenset[str]) -> Iterator[str]:
    """What is wrong with the names and attributes of a template that compiles."""
    from jinja2 import meta, nodes

    tree = parsed_tree(text)
    called = {node.node.name: node for node in tree.find_all(nodes.Call) if isinstance(node.node, nodes.Name)}
    lines = {node.name: node.lineno for node in reversed(list(tree.find_all(nodes.Name)))}
    for name in sorted(meta.find_undeclared_variables(tree) - names):
        kind, known = ("function", sorted({*macro.FUNCTIONS, "lookup"})) if name in called else ("value", sorted(names))
        yield f"there is no {kind} {name}{in_line(text, lines.get(name, 1))}{did_you_mean(name, known)}"
    for node in tree.find_all((nodes.Getattr, nodes.Filter)):
        attribute = node.attr if isinstance(node, nodes.Getattr) else constant_attribute(node)
        # A field may begin with underscores; the attributes of Python's objects end with them too.
        if attribute and attribute.startswith("__") and attribute.endswith("__"):
            yield f"the attribute {attribute} is forbidden{in_line(text, node.lineno)}"


def constant_attribute(node: Any) -> str:
    """The name in `value | attr("name")`."""
    argument = node.args[0] if node.name == "attr" and node.args else None
    value = getattr(argument, "value", None)
    return value if isinstance(value, str) else ""


def in_line(text: str, line: int) -> str:
    return f" (line {line} of the template)" if "\n" in text.strip() else ""


def extra_names(manifest: Any) -> frozenset[str]:
    """The fields of parent records that partitions keep for templates (`extra_fields`)."""
    names: set[str] = set()
    waiting, visited = [manifest], set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Mapping | list) or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, list):
            waiting.extend(node)
            continue
        fields = node.get("extra_fields")
        for path in fields if isinstance(fields, list) else ():
            if isinstance(path, list) and path:
                names.add(str(path[-1]))
        waiting.extend(node.values())
    return frozenset(names)


def consent_defects(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The defects of the consent that a manifest describes. Its templates have names and filters of their own."""
    specification = value_at(manifest, list(CONSENT))
    if not isinstance(specification, Mapping):
        return
    inputs = specification.get("oauth_connector_input_specification")
    if inputs is None:
        return
    form = value_at(manifest, ["spec", "connection_specification", "properties"])
    place = f"{'.'.join(CONSENT)}.oauth_connector_input_specification"
    if not isinstance(inputs, Mapping):
        yield place, "an object is expected", ""
        return
    try:
        flow = ConsentFlow(specification)
    except ConfigError as error:
        yield place, error.message, error.hint
        return
    for field, defect in flow.defects([str(name) for name in form] if isinstance(form, Mapping) else []):
        yield f"{place}.{field}", defect.message, defect.hint
