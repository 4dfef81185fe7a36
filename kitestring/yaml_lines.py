"""Reads YAML that people write: JSON values, and the line of each for errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kitestring.errors import ConfigError

Lines = Mapping[tuple[str, ...], int]
"""The line of each value by its path."""


def read_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """A YAML text as JSON values, and the line of every value by its path.

    Times stay text, only true and false are booleans, and a repeated key is refused. Raises `ConfigError`.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if not tag.endswith((":timestamp", ":bool"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))
    lines: dict[tuple[str, ...], int] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                key_text = str(key.value)
                line = key.start_mark.line + 1
                if key_text in keys:
                    raise ConfigError(f"{name}:{line}: the key {key_text} is repeated", hint="Keep one of the two.")
                keys.add(key_text)
                lines[(*path, key_text)] = line
                walk(value, (*path, key_text))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                walk(value, (*path, str(number)))

    loader = Loader(text)
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
        raise ConfigError(f"{name} refers to itself", hint="Take the anchor out.") from error
    finally:
        loader.dispose()


def place(path: Path, lines: Lines, inner: tuple[str, ...]) -> str:
    """`file:line`, of the nearest known value above where this one has no line."""
    for length in range(len(inner), 0, -1):
        if inner[:length] in lines:
            return f"{path}:{lines[inner[:length]]}"
    return str(path)
