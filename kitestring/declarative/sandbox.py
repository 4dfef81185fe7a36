"""The sandbox of templates: limits their access and their work."""

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
"""Loop iterations, items in filters, and calls (`CALL`, `FILTER` each), in one rendering of a template."""
LONGEST_S = 5.0
"""Processor time of one rendering."""
LOOK_EVERY = 1_000
"""Steps between two checks of the time."""
MOST_BITS = 200_000
"""The largest product, in bits."""
CALL, FILTER = 20, 5
"""The cost of a call of a function or a filter in steps, by its time relative to a loop iteration."""
WIDEST = 100_000
WIDTHS = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})
ITERATING = frozenset({"list", "map", "select", "reject", "join", "sort", "unique", "batch", "slice", "sum", "reverse"})
"""Filters that iterate over the letters of a text."""
WIDE = frozenset({"batch", "center", "indent", "slice", "tojson", "wordwrap"})
"""Filters with a width or a count."""
TEXTS = frozenset({"escape", "e", "forceescape", "hash", "pprint", "string", "tojson", "urlencode", "xmlattr"})
"""Filters that convert any value to text."""
_ENVIRONMENTS: list[Any] = []


class Work(threading.local):
    """The steps of the current rendering of this thread."""

    steps = 0
    look_at = LOOK_EVERY
    began = 0.0


_WORK = Work()


def start_rendering() -> None:
    """Reset the counters for a new rendering."""
    _WORK.steps = 0
    _WORK.look_at = LOOK_EVERY
    _WORK.began = time.thread_time()


def security_error(fact: str) -> Exception:
    from jinja2.exceptions import SecurityError

    return SecurityError(fact)


def spend(steps: int = 1) -> None:
    _WORK.steps += steps
    if _WORK.steps > MOST_STEPS:
        raise security_error(f"it takes more than {MOST_STEPS:,} steps")
    if _WORK.steps >= _WORK.look_at:
        _WORK.look_at = _WORK.steps + LOOK_EVERY
        check_time()


def check_time() -> None:
    """Raise if the rendering has used too much time."""
    if time.thread_time() - _WORK.began > LONGEST_S:
        raise security_error(f"it computes for more than {LONGEST_S:g} s")


def spend_for_text(text: Any) -> None:
    """Count the steps of a function that processes a text, by its length."""
    if isinstance(text, str):
        spend(len(text) // 200)


def count_items(values: Iterable[Any]) -> Iterator[Any]:
    """The values; each counts as a step."""
    for value in values:
        spend()
        yield value


def check_size(size: int) -> None:
    if size > LONGEST_RESULT:
        raise security_error(f"it makes more than {LONGEST_RESULT:,} characters or items")


def check_text_size(value: Any) -> Any:
    """Return the value. Raises if its text would be too long: a container may hold another a million times."""
    if not isinstance(value, list | tuple | dict | set):
        return value
    remaining, waiting = LONGEST_RESULT, [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            remaining -= len(part)
        elif isinstance(part, dict):
            waiting.extend(part)
            waiting.extend(part.values())
            remaining -= len(part)
        elif isinstance(part, list | tuple | set):
            if len(part) > remaining:
                break
            waiting.extend(part)
            remaining -= len(part)
        if remaining < 0 or len(waiting) > LONGEST_RESULT:
            break
    else:
        return value
    raise security_error(f"it makes more than {LONGEST_RESULT:,} characters or items")


def check_format(text: Any, sign: str, values: Iterable[Any]) -> None:
    """Check the size of a formatted text in advance: each place may hold the longest value."""
    if isinstance(text, str):
        longest = max((len(str(check_text_size(value))) for value in values), default=0)
        check_size(len(text) + text.count(sign) * longest)


def concatenate(parts: list[Any]) -> str:
    """The operator `~`."""
    texts = [str(check_text_size(part)) for part in parts]
    check_size(sum(map(len, texts)))
    return "".join(texts)


def check_replacement(text: Any, arguments: tuple[Any, ...]) -> None:
    """Check the size of a replacement in advance."""
    if len(arguments) >= 2:
        text, old, new = str(text), str(arguments[0]), str(arguments[1])
        check_size(len(text) + text.count(old) * max(0, len(new) - len(old)))


def check_width(text: Any) -> None:
    """Check a format in advance for a huge width or precision."""
    if isinstance(text, str) and re.search(r"[%{][^}a-zA-Z%]*(\d{6}|\*)", text):
        raise security_error("the width is too large")


def environment() -> Any:
    """The sandbox: no attribute with an underscore, no range, no import, no unbounded work."""
    if _ENVIRONMENTS:
        return _ENVIRONMENTS[0]
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment
    from jinja2.visitor import NodeTransformer

    class Containers(NodeTransformer):
        """Check the size of each container of containers: one that doubles itself fifty times is small in memory, but
        comparing or rendering it never ends."""

        def container(self, node: Any) -> Any:
            self.generic_visit(node)
            loads = getattr(node, "ctx", "load") == "load"
            if not loads or (all(isinstance(item, nodes.Const | nodes.Pair) for item in node.items) and constant(node)):
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
            """Count loop iterations and the length of `~` results, which are otherwise plain Python."""
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
                check_width(value.__self__)
            return wrapped

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" and (abs(float(left)) > 1e6 or abs(float(right)) > 100):
                raise security_error("the power is too large")
            if operator == "*":
                if (
                    isinstance(left, int)
                    and isinstance(right, int)
                    and left.bit_length() + right.bit_length() > MOST_BITS
                ):
                    raise security_error("the number is too large")
                for sequence, times in ((left, right), (right, left)):
                    if (
                        isinstance(sequence, str | list | tuple)
                        and isinstance(times, int)
                        and len(sequence) * times > WIDEST
                    ):
                        raise security_error("the repetition is too long")
            if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
                check_size(len(left) + len(right))
            if operator == "%":
                check_width(left)
                check_format(left, "%", right if isinstance(right, tuple) else (right,))
            return super().call_binop(context, operator, left, right)

        def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
            spend(CALL)
            # Jinja wraps `format` and `format_map`.
            name, owner = getattr(obj, "__name__", ""), getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
            spend_for_text(owner)
            if name in WIDTHS and args and isinstance(args[0], int) and args[0] > WIDEST:
                raise security_error("the width is too large")
            if isinstance(owner, str):
                if name == "replace":
                    check_replacement(owner, args)
                elif name in ("format", "format_map"):
                    check_format(owner, "{", [*args, *kwargs.values()])
                elif name == "expandtabs":
                    check_size(len(owner) + owner.count("\t") * (args[0] if args and isinstance(args[0], int) else 8))
                elif name == "translate" and args and isinstance(args[0], dict):
                    check_size(
                        len(owner) * max((len(part) for part in args[0].values() if isinstance(part, str)), default=1)
                    )
                elif name == "join" and args:
                    args = (check_join(owner, args[0]), *args[1:])
            return super().call(context, obj, *args, **kwargs)

    sandbox = Sandbox(cache_size=0, finalize=check_text_size)
    for name in ("range", "lipsum", "cycler", "joiner"):
        sandbox.globals.pop(name, None)
    sandbox.globals.update(macro.FUNCTIONS)
    sandbox.filters.update(macro.FILTERS)
    sandbox.filters = {name: bound_filter(name, filter_) for name, filter_ in sandbox.filters.items()}
    sandbox.filters["kitestring_each"] = count_items
    sandbox.filters["kitestring_sized"] = check_text_size
    sandbox.filters["kitestring_glued"] = concatenate
    _ENVIRONMENTS.append(sandbox)
    return sandbox


def check_join(separator: str, values: Iterable[Any]) -> list[Any]:
    items = list(count_items(values))
    check_size(sum(len(str(item)) + len(separator) for item in items))
    return items


def bound_filter(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter: count its steps and refuse a huge width."""
    first = 1 if hasattr(original, "jinja_pass_arg") else 0  # Jinja passes the context before the value

    @wraps(original)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        spend(FILTER)
        if len(args) > first:
            value, rest = args[first], args[first + 1 :]
            spend_for_text(value)
            if name == "join":
                separator = str(rest[0]) if rest else str(kwargs.get("d", ""))
                value = check_join(separator, value) if isinstance(value, Iterable) else value
            elif name == "replace":
                check_replacement(value, rest)
            elif name == "format":
                check_width(value)
                check_format(value, "%", [*rest, *kwargs.values()])
            elif name in ("wordwrap", "urlize"):
                check_size(
                    len(str(value))
                    * (1 + sum(len(argument) for argument in [*rest, *kwargs.values()] if isinstance(argument, str)))
                )
            elif name == "indent":
                width = rest[0] if rest else kwargs.get("width", 4)
                check_size(str(value).count("\n") * (width if isinstance(width, int) else len(str(width))))
            elif name == "sum" and isinstance(value, list | tuple):
                check_size(sum(len(argument) if isinstance(argument, list | tuple) else 1 for argument in value))
            elif name in TEXTS:
                check_text_size(value)
            elif isinstance(value, list | tuple | dict | set) or (isinstance(value, str) and name in ITERATING):
                spend(len(value))
            elif isinstance(value, Iterator):
                value = count_items(value)
            args = (*args[:first], value, *rest)
        if name in WIDE and any(
            isinstance(argument, int) and argument > WIDEST for argument in [*args, *kwargs.values()]
        ):
            raise security_error("the width is too large")
        return original(*args, **kwargs)

    return filtered
