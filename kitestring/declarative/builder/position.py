"""Find the line and column of a manifest's value in its YAML text."""

from __future__ import annotations

from typing import Any


class Positions:
    """Line and column (from 1) of the values of a YAML text, by their paths in the resolved manifest.

    A path follows references (`$ref`, `#/…`), aliases and merge keys to the place where the value is written. For a
    missing key it gives the place of its parent.
    """

    def __init__(self, text: str) -> None:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._yaml = yaml
        self._root: Any = yaml.compose(text, Loader=loader)

    def of(self, path: str) -> tuple[int, int]:
        """`streams[0].retriever.requester` as line and column."""
        mark = self._node(path).start_mark if self._root is not None else None
        return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)

    def _node(self, path: str) -> Any:
        node, rest, steps = self._root, path, 0
        while rest:
            node, steps = self._follow(node), steps + 1
            if isinstance(node, self._yaml.SequenceNode) and rest.startswith("["):
                number, _, rest = rest[1:].partition("]")
                rest = rest.removeprefix(".")
                if not number.isdigit() or int(number) >= len(node.value):
                    return node
                node = node.value[int(number)]
                continue
            step = self._longest(node, rest)
            if step is None or steps > 500:
                return node
            key, node = step
            rest = rest[len(key) :].removeprefix(".")
        return node

    def _longest(self, node: Any, rest: str) -> tuple[str, Any] | None:
        """The next key of the path, which may contain dots; keys of merged and referenced objects count too."""
        waiting, visited = [node], set()
        while waiting:
            node = waiting.pop(0)
            if not isinstance(node, self._yaml.MappingNode) or id(node) in visited:
                continue
            visited.add(id(node))
            longest: tuple[str, Any] | None = None
            for key, value in node.value:
                name = str(key.value)
                goes_on = rest == name or rest.startswith((f"{name}.", f"{name}["))
                if goes_on and (longest is None or len(name) > len(longest[0])):
                    longest = name, value
                elif name == "<<":
                    waiting.extend(value.value if isinstance(value, self._yaml.SequenceNode) else [value])
                elif name == "$ref":
                    waiting.append(self._target(value))
            if longest is not None:
                return longest
        return None

    def _follow(self, node: Any) -> Any:
        for _ in range(50):
            if not isinstance(node, self._yaml.ScalarNode) or not str(node.value).startswith("#/"):
                break
            node = self._target(node) or node
        return node

    def _target(self, node: Any) -> Any:
        """The target of a reference; None if there is none."""
        target, rest = self._root, str(getattr(node, "value", ""))[2:]
        while rest:
            if isinstance(target, self._yaml.SequenceNode):
                head, _, rest = rest.partition("/")
                target = target.value[int(head)] if head.isdigit() and int(head) < len(target.value) else None
                continue
            if not isinstance(target, self._yaml.MappingNode):
                return None
            keys = {str(key.value): value for key, value in target.value}
            if rest in keys:
                return keys[rest]
            head, _, rest = rest.partition("/")
            target = keys.get(head)
        return target
