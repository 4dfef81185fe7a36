"""The sandbox of templates: what they may reach, and how much work one of them may be."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from kitestring.declarative import macro

LONGEST_RESULT = 4_000_000
"""Characters."""
MOST_STEPS = 10_000_000
"""Turns of loops, items that filters go through, and calls (`CALL`, `FILTER` each), in one rendering of a template."""
LONGEST_S = 5.0
"""Of processor time, for one rendering."""
LOOK_EVERY = 1_000
"""Steps between two looks at the time."""
MOST_BITS = 200_000
"""Of a number that is multiplied."""
CALL, FILTER = 20, 5
"""Steps that a call of a function or a filter costs, about as its time compares to a turn of a loop."""
WIDEST = 100_000
WIDTHS = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})
ITERATING = frozenset({"list", "map", "select", "reject", "join", "sort", "unique", "batch", "slice", "sum", "reverse"})
"""Filters that take a text letter by letter."""
WIDE = frozenset({"batch", "center", "indent", "slice", "tojson", "wordwrap"})
"""Filters with a width or a count."""
TEXTS = frozenset({"escape", "e", "forceescape", "hash", "pprint", "string", "tojson", "urlencode", "xmlattr"})
"""Filters that make a text of any value."""
_ENVIRONMENTS: list[Any] = []


class Work(threading.local):
    """The steps of the rendering that is under way in this thread."""

    steps = 0
    look_at = LOOK_EVERY
    began = 0.0


_WORK = Work()


def begin() -> None:
    """A rendering begins."""
    _WORK.steps = 0
    _WORK.look_at = LOOK_EVERY
    _WORK.began = time.thread_time()


def refuse(fact: str) -> Exception:
    from jinja2.exceptions import SecurityError

    return SecurityError(fact)


def spend(steps: int = 1) -> None:
    _WORK.steps += steps
    if _WORK.steps > MOST_STEPS:
        raise refuse(f"it takes more than {MOST_STEPS:,} steps")
    if _WORK.steps >= _WORK.look_at:
        _WORK.look_at = _WORK.steps + LOOK_EVERY
        look()


def look() -> None:
    """Refuse a rendering that has computed for too long."""
    if time.thread_time() - _WORK.began > LONGEST_S:
        raise refuse(f"it computes for more than {LONGEST_S:g} s")


def heavy(text: Any) -> None:
    """A function is about to go through a text: the longer it is, the more steps that costs."""
    if isinstance(text, str):
        spend(len(text) // 200)


def each(values: Iterable[Any]) -> Iterator[Any]:
    """The values, each of them a step."""
    for value in values:
        spend()
        yield value


def fits(size: int) -> None:
    if size > LONGEST_RESULT:
        raise refuse(f"it makes more than {LONGEST_RESULT:,} characters or items")


def sized(value: Any) -> Any:
    """The value, unless its text would be too long: a container may hold another a million times."""
    if not isinstance(value, list | tuple | dict | set):
        return value
    left, waiting = LONGEST_RESULT, [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            left -= len(part)
        elif isinstance(part, dict):
            waiting.extend(part)
            waiting.extend(part.values())
            left -= len(part)
        elif isinstance(part, list | tuple | set):
            if len(part) > left:
                break
            waiting.extend(part)
            left -= len(part)
        if left < 0 or len(waiting) > LONGEST_RESULT:
            break
    else:
        return value
    raise refuse(f"it makes more than {LONGEST_RESULT:,} characters or items")


def grown(text: Any, sign: str, values: Iterable[Any]) -> None:
    """Look ahead at a format: each place may hold the longest of the values."""
    if isinstance(text, str):
        longest = max((len(str(sized(value))) for value in values), default=0)
        fits(len(text) + text.count(sign) * longest)


def glued(parts: list[Any]) -> str:
    """What `~` does."""
    texts = [str(sized(part)) for part in parts]
    fits(sum(map(len, texts)))
    return "".join(texts)


def replaced(text: Any, arguments: tuple[Any, ...]) -> None:
    """Look ahead at a replacement."""
    if len(arguments) >= 2:
        text, old, new = str(text), str(arguments[0]), str(arguments[1])
        fits(len(text) + text.count(old) * max(0, len(new) - len(old)))


def wide(text: Any) -> None:
    """Look ahead at a format: no width or precision beyond reason."""
    if isinstance(text, str) and re.search(r"[%{][^}a-zA-Z%]*(\d{6}|\*)", text):
        raise refuse("the width is too large")


def environment() -> Any:
    """The sandbox: no attribute with an underscore, no range, no import, no work without bounds."""
    if _ENVIRONMENTS:
        return _ENVIRONMENTS[0]
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment
    from jinja2.visitor import NodeTransformer

    class Containers(NodeTransformer):
        """Look at the size of each container that is made of others: one that holds itself twice, fifty times over, is
        small, and whoever compares or renders it is never done."""

        def container(self, node: Any) -> Any:
            self.generic_visit(node)
            loads = getattr(node, "ctx", "load") == "load"
            if not loads or (all(isinstance(one, nodes.Const | nodes.Pair) for one in node.items) and constant(node)):
                return node
            return nodes.Filter(node, "kitestring_sized", [], [], None, None, lineno=node.lineno)

        visit_List = visit_Tuple = visit_Dict = container

    def constant(node: Any) -> bool:
        return all(isinstance(pair.value, nodes.Const) for pair in node.items if isinstance(pair, nodes.Pair))

    class Sandbox(SandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%", "+"})

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            return not attr.startswith("_") and super().is_safe_attribute(obj, attr, value)

        def _generate(self, source: Any, *args: Any, **kwargs: Any) -> str:
            """Count the turns of loops and the length of what `~` makes, which run as plain Python otherwise."""
            Containers().visit(source)
            for loop in list(source.find_all(nodes.For)):
                loop.iter = self._through("kitestring_each", loop.iter)
            for glue in list(source.find_all(nodes.Concat)):
                parts = nodes.List(glue.nodes, lineno=glue.lineno)
                glue.nodes = [self._through("kitestring_glued", parts)]
            source.set_environment(self)
            return super()._generate(source, *args, **kwargs)

        def _through(self, name: str, node: nodes.Expr) -> nodes.Expr:
            return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)

        def wrap_str_format(self, value: Any) -> Any:
            wrapped = super().wrap_str_format(value)
            if wrapped is not None:
                wide(value.__self__)
            return wrapped

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" and (abs(float(left)) > 1e6 or abs(float(right)) > 100):
                raise refuse("the power is too large")
            if operator == "*":
                if (
                    isinstance(left, int)
                    and isinstance(right, int)
                    and left.bit_length() + right.bit_length() > MOST_BITS
                ):
                    raise refuse("the number is too large")
                for one, other in ((left, right), (right, left)):
                    if isinstance(one, str | list | tuple) and isinstance(other, int) and len(one) * other > WIDEST:
                        raise refuse("the repetition is too long")
            if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
                fits(len(left) + len(right))
            if operator == "%":
                wide(left)
                grown(left, "%", right if isinstance(right, tuple) else (right,))
            return super().call_binop(context, operator, left, right)

        def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
            spend(CALL)
            # Jinja puts a function of its own around `format` and `format_map`.
            name, owner = getattr(obj, "__name__", ""), getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
            heavy(owner)
            if name in WIDTHS and args and isinstance(args[0], int) and args[0] > WIDEST:
                raise refuse("the width is too large")
            if isinstance(owner, str):
                if name == "replace":
                    replaced(owner, args)
                elif name in ("format", "format_map"):
                    grown(owner, "{", [*args, *kwargs.values()])
                elif name == "expandtabs":
                    fits(len(owner) + owner.count("\t") * (args[0] if args and isinstance(args[0], int) else 8))
                elif name == "translate" and args and isinstance(args[0], dict):
                    fits(len(owner) * max((len(part) for part in args[0].values() if isinstance(part, str)), default=1))
                elif name == "join" and args:
                    args = (joinable(owner, args[0]), *args[1:])
            return super().call(context, obj, *args, **kwargs)

    sandbox = Sandbox(cache_size=0, finalize=sized)
    for name in ("range", "lipsum", "cycler", "joiner"):
        sandbox.globals.pop(name, None)
    sandbox.globals.update(macro.FUNCTIONS)
    sandbox.filters.update(macro.FILTERS)
    sandbox.filters = {name: bounded(name, found) for name, found in sandbox.filters.items()}
    sandbox.filters["kitestring_each"] = each
    sandbox.filters["kitestring_sized"] = sized
    sandbox.filters["kitestring_glued"] = glued
    _ENVIRONMENTS.append(sandbox)
    return sandbox


def joinable(separator: str, values: Iterable[Any]) -> list[Any]:
    found = list(each(values))
    fits(sum(len(str(one)) + len(separator) for one in found))
    return found


def bounded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts what it goes through, and takes no width beyond reason."""
    first = 1 if hasattr(original, "jinja_pass_arg") else 0  # Jinja hands it the context before the value

    @wraps(original)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        spend(FILTER)
        if len(args) > first:
            value, rest = args[first], args[first + 1 :]
            heavy(value)
            if name == "join":
                separator = str(rest[0]) if rest else str(kwargs.get("d", ""))
                value = joinable(separator, value) if isinstance(value, Iterable) else value
            elif name == "replace":
                replaced(value, rest)
            elif name == "format":
                wide(value)
                grown(value, "%", [*rest, *kwargs.values()])
            elif name in ("wordwrap", "urlize"):
                fits(len(str(value)) * (1 + sum(len(one) for one in [*rest, *kwargs.values()] if isinstance(one, str))))
            elif name == "indent":
                width = rest[0] if rest else kwargs.get("width", 4)
                fits(str(value).count("\n") * (width if isinstance(width, int) else len(str(width))))
            elif name == "sum" and isinstance(value, list | tuple):
                fits(sum(len(one) if isinstance(one, list | tuple) else 1 for one in value))
            elif name in TEXTS:
                sized(value)
            elif isinstance(value, list | tuple | dict | set) or (isinstance(value, str) and name in ITERATING):
                spend(len(value))
            elif isinstance(value, Iterator):
                value = each(value)
            args = (*args[:first], value, *rest)
        if name in WIDE and any(isinstance(one, int) and one > WIDEST for one in [*args, *kwargs.values()]):
            raise refuse("the width is too large")
        return original(*args, **kwargs)

    return filtered
