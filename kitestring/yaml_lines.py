"""Reads YAML that people write: JSON values, and the line of each for errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kitestring.errors import ConfigError

Lines = Mapping[tuple[str, ...], int]
"""The line of each value by its path."""

YAML_TAG = "tag:yaml.org,2002:"
TAGS = {f"{YAML_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "map", "seq", "merge", "value")}
UNSTORABLE = re.compile("[\0\ud800-\udfff]")

MOST_REPEATED = 100_000
"""How many values anchors may repeat: ten lines of ten aliases each are ten billion values."""


def read_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """A YAML text as JSON values, and the line of every value by its path.

    Times stay text, only true and false are booleans, and a repeated key is refused. Raises `ConfigError`, also for
    a short text whose anchors stand for far more values than it has letters, and for values that JSON does not have.
    """
    import yaml

    most, count = MOST_REPEATED + 2 * len(text), 0

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if not tag.endswith((":timestamp", ":bool"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))
    lines: dict[tuple[str, ...], int] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise ConfigError(
                f"the anchors of {name} repeat more than {MOST_REPEATED:,} values", hint="Write fewer anchors."
            )
        lines.setdefault(path, node.start_mark.line + 1)
        refuse_other_values(node)
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                key_text = str(key.value)
                line = key.start_mark.line + 1
                refuse_other_values(key)
                if key_text in keys:
                    raise ConfigError(f"{name}:{line}: the key {key_text} is repeated", hint="Keep one of the two.")
                keys.add(key_text)
                lines[(*path, key_text)] = line
                walk(value, (*path, key_text))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                walk(value, (*path, str(number)))

    def refuse_other_values(node: Any) -> None:
        line = node.start_mark.line + 1
        if node.tag not in TAGS:
            tag = node.tag.replace(YAML_TAG, "!!")
            raise ConfigError(f"{name}:{line}: JSON has no value of the type {tag}", hint="Write it as a text.")
        if isinstance(node, yaml.ScalarNode) and UNSTORABLE.search(node.value):
            raise ConfigError(
                f"{name}:{line}: a text holds a NUL or half of a pair of surrogates", hint="Take the character out."
            )

    try:
        loader = Loader(text)
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{number}: the character U+{error.character:04X} is not allowed in YAML",
            hint="Remove the character.",
        ) from error
    try:
        node = loader.get_single_node()
        if node is None:
            return None, lines
        walk(node, ())
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{name}{line} is not YAML: {error.problem}", hint="Check indentation, quotes and colons of that line."
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not YAML: {error}", hint="Save it as plain text in UTF-8.") from error
    except RecursionError as error:
        raise ConfigError(
            f"{name} refers to itself, or is nested too deeply", hint="Take the anchor out, or make it flatter."
        ) from error
    except (ValueError, OverflowError) as error:  # a number beyond Python's limit of digits
        raise ConfigError(f"{name} has a value that cannot be read: {error}", hint="Write it as a text.") from error
    finally:
        loader.dispose()


def place(path: Path, lines: Lines, inner: tuple[str, ...]) -> str:
    """`file:line`, of the nearest known value above where this one has no line."""
    for length in range(len(inner), 0, -1):
        if inner[:length] in lines:
            return f"{path}:{lines[inner[:length]]}"
    return str(path)
