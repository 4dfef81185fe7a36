"""Templates: Jinja in a sandbox, compiled once; texts without Jinja and plain look-ups never reach it.

The value of a template is its rendered text read as a Python literal where it is one (`"5"` becomes 5), as Airbyte's
engine does. What is undefined renders as nothing; to look into something undefined fails, where a text is expected.
"""

from __future__ import annotations

import ast
import copy
import math
import re
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring.declarative import macro
from kitestring.declarative.sandbox import LONGEST_RESULT, check_text_size, environment, start_rendering
from kitestring.errors import ConfigError, KitestringError
from kitestring.pattern import PatternError

if TYPE_CHECKING:
    from jinja2 import nodes

Context = Mapping[str, Any]
Types = tuple[type, ...]
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_LITERAL_START = re.compile(r"(?:True|False|None|set\s*\()\b|[bBuUrR]{1,2}['\"]|set\s*\(")
_MARK = re.compile(r"\{\{|\{%|\{#")
_MISSING = object()
_SYNTAX_TREES = threading.RLock()
"""Held while Python's syntax trees are made, which is not safe in threads: where a finalizer lets another thread make
one in between, CPython 3.11 raises `SystemError` (https://github.com/python/cpython/issues/106905)."""
CONSTANT_NAMES = frozenset({"config", "parameters"})
ALIASES = {"stream_interval": "stream_slice", "stream_partition": "stream_slice"}
DICT_NAMES = frozenset(dir(dict))


def literal(text: str, types: Types | None = None) -> Any:
    """The Python literal that `text` is, where it is one (and of one of `types`); `text` itself otherwise."""
    first = text[:1]
    if first.isalpha():
        if not _LITERAL_START.match(text):
            return text
    elif not first or (first in "/<{" and text[-1:] != "}") or _ISO.match(text):
        return text
    try:
        with _SYNTAX_TREES:
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    if (not types and not isinstance(value, complex)) or (types and isinstance(value, types)):
        return value
    return text


class EvaluationError(ConfigError):
    """A template that is well formed could not be evaluated for these values."""


class Template:
    """`template(context)` is its value. `constant` says that it is the same every time, `exact` that a text comes as it
    stands in what the template sees, and was not read as a literal."""

    __slots__ = ("_evaluate", "constant", "exact", "text")

    def __init__(self, text: Any, evaluate: Callable[[Context], Any], constant: bool, exact: bool = False) -> None:
        self.text = text
        self._evaluate = evaluate
        self.constant = constant
        self.exact = exact

    def __call__(self, context: Context) -> Any:
        return self._evaluate(context)


class Condition:
    """`condition(context)` is True or False."""

    __slots__ = ("_evaluate", "text")

    def __init__(self, text: Any, evaluate: Callable[[Context], bool]) -> None:
        self.text = text
        self._evaluate = evaluate

    def __call__(self, context: Context) -> bool:
        return self._evaluate(context)


class Templates:
    """Compiles the templates of one source; equal texts are compiled once in a process."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def compile(
        self,
        text: Any,
        parameters: Mapping[str, Any],
        place: str,
        *,
        types: Types | None = None,
        empty: Any = "",
        tolerant: bool = False,
        strict: bool = False,
        verbatim: bool = False,
    ) -> Template:
        """A template. What is no text is its own value; `types` limits what a rendered text is read as; `empty` is the
        value of one that renders to nothing, and of one that looks into something undefined where it is not an empty
        text, or the template is `tolerant`. (Airbyte's engine makes the same difference.) One that is not well formed
        raises when its value is asked for (`strict`: now): a manifest may hold some that nothing leads to. `verbatim`:
        a text that is looked up is no literal, whatever it looks like.
        """
        if not isinstance(text, str):
            return Template(text, lambda _: text, True)
        if not _MARK.search(text):
            plain = text.removesuffix("\n")
            value = literal(plain, types) if plain else empty
            return Template(text, lambda _: value, True)
        try:
            source = self._source(text, place)
        except ConfigError as defect:
            if strict:
                raise
            return Template(text, raise_always(defect), False)
        render = source.bound(self.config, parameters, place)

        tolerant = tolerant or empty != ""
        # A text that is wanted and stands somewhere is handed over as it is: one in quotes keeps them.
        exact = (verbatim or types == (str,)) and source.looks_up

        def evaluate(context: Context) -> Any:
            result = render(context)
            if isinstance(result, EvaluationError):
                if tolerant:
                    return empty
                raise result
            if exact and type(result) is str:
                return result or empty
            return literal_value(result, types, empty)

        if not source.names <= CONSTANT_NAMES or source.changes:
            return Template(text, evaluate, False, exact)
        values: list[Any] = []

        def evaluate_once(context: Context) -> Any:
            if not values:
                values.append(evaluate(context))
            value = values[0]
            return copy.deepcopy(value) if isinstance(value, dict | list) else value

        return Template(text, evaluate_once, True)

    def condition(self, text: Any, parameters: Mapping[str, Any], place: str) -> Condition:
        """A condition: false for an empty result, 0, False, None, and for the texts that spell them."""
        if not isinstance(text, str):
            truth = bool(text)
            return Condition(text, lambda _: truth)
        template = self.compile(text, parameters, place, empty=False)
        return Condition(text, lambda context: truthful(template(context)))

    def _source(self, text: str, place: str) -> ParsedTemplate:
        source = _CACHE.get(text)
        if source is None:
            with _SYNTAX_TREES:  # Jinja reads literals of templates too
                source = ParsedTemplate(text, place)
            if len(_CACHE) >= MOST_CACHED:
                _CACHE.clear()
            if len(text) <= LONGEST_CACHED:
                _CACHE[text] = source
        return source


def raise_always(defect: ConfigError) -> Callable[[Context], Any]:
    def evaluate(_: Context) -> Any:
        raise defect

    return evaluate


def truthful(value: Any) -> bool:
    if isinstance(value, str):
        return value not in ("False", "false", "{}", "[]", "()", "", "0", "0.0")
    return bool(value)


def literal_value(result: Any, types: Types | None, empty: Any) -> Any:
    """The value of a rendered text, or of what a look-up found."""
    if result is _MISSING:
        return empty
    if isinstance(result, str):
        if type(result) is not str:  # Jinja's Markup
            result = str.__str__(result)
        return literal(result, types) if result else empty
    if types is None:
        if result is None or isinstance(result, bool | int | float | Decimal):
            return result
        if isinstance(result, dict | list):
            return copy.deepcopy(result)
    elif isinstance(result, types):
        return copy.deepcopy(result) if isinstance(result, dict | list) else result
    text = str(result)
    return literal(text, types) if text else empty


Render = Callable[[Context], Any]
MOST_CACHED, LONGEST_CACHED = 4_096, 10_000
"""So many compiled templates are kept in a process, and none longer than so many characters."""


class ParsedTemplate:
    """The text of a template, parsed: which names it reads, and the fastest way to its value."""

    __slots__ = ("_expression", "_path", "_template", "changes", "names", "text")

    def __init__(self, text: str, place: str) -> None:
        from jinja2 import TemplateSyntaxError, meta, nodes
        from jinja2.exceptions import TemplateError

        jinja = environment()
        self.text = text
        try:
            tree = jinja.parse(text)
            for unwanted in (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends):
                if next(tree.find_all(unwanted), None) is not None:
                    raise template_error(place, text, "a template may not include or import anything")
            self.names = frozenset(meta.find_undeclared_variables(tree))
            if "stream_state" in self.names:
                raise template_error(place, text, "`stream_state` is gone from the language: use `stream_interval`")
            called = {node.name for node in tree.find_all(nodes.Name)}
            self.changes = bool(called & macro.CHANGING)
            single = single_expression(tree)
            self._path = look_up(single) if single is not None else None
            self._expression = None
            self._template: Any = jinja.from_string(text)
            if single is not None and self._path is None:
                inner = text.strip()
                if text == inner and inner.startswith("{{") and inner.endswith("}}"):
                    self._expression = jinja.compile_expression(inner[2:-2].strip("-+ \n\t"), undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise template_error(place, text, f"the template is not well formed: {error.message}") from error
        except (TemplateError, RecursionError) as error:
            raise template_error(place, text, f"the template cannot be compiled: {error}") from error

    @property
    def looks_up(self) -> bool:
        """Whether the template is nothing but a place in what it sees, such as `{{ record['title'] }}`."""
        return self._path is not None

    def bound(self, config: Mapping[str, Any], parameters: Mapping[str, Any], place: str) -> Render:
        """The template with these constants: `render(context)` is a text, a value, `_MISSING`, or a `Failed`."""
        slow = self._slow(config, parameters, place)
        path = self._path
        if path is None:
            return slow
        root, steps = ALIASES.get(path[0], path[0]), path[1]
        fixed = {"config": config, "parameters": parameters}.get(root)

        last = len(steps)

        def fast(context: Context) -> Any:
            value = fixed if fixed is not None else context.get(root)
            for number, (step, default) in enumerate(steps, 1):
                if isinstance(value, dict):
                    value = value.get(step, default)
                    if value is _MISSING:
                        return _MISSING if number == last else slow(context)
                elif type(value) is list and type(step) is int and -len(value) <= step < len(value):
                    value = value[step]
                else:
                    return slow(context)
            return slow(context) if value is None and not steps else value

        return fast

    def _slow(self, config: Mapping[str, Any], parameters: Mapping[str, Any], place: str) -> Render:
        from jinja2 import Undefined
        from jinja2.exceptions import SecurityError, TemplateError, UndefinedError

        needed = {ALIASES.get(name, name) for name in self.names} - CONSTANT_NAMES
        text, expression, template = self.text, self._expression, self._template

        def render(context: Context) -> Any:
            if not needed <= context.keys():
                missing = ", ".join(sorted(needed - context.keys()))
                raise template_error(place, text, f"{missing} does not exist here")
            whole: dict[str, Any] = {**context, "config": config, "parameters": parameters}
            for alias, name in ALIASES.items():
                if name in context:
                    whole[alias] = context[name]
            try:
                start_rendering()
                if expression is not None:
                    value = expression(whole)
                    if is_container(check_text_size(value)):
                        return copy.deepcopy(value) if without_literal(value) else str(value)
                    return "" if isinstance(value, Undefined) else value
                return render_text(template, whole)
            except MemoryError as error:
                raise template_error(place, text, "the template takes too much memory") from error
            except UndefinedError as error:
                failure = template_error(
                    place, text, f"the template looks into something that is not there ({error.message})"
                )
                return EvaluationError(failure.message, hint=failure.hint, **failure.fields)
            except TypeError:
                # Decimals, which do not mix with floats, are numbers of a page that a float does not hold exactly.
                rounded = {name: floats(value) for name, value in context.items()}
                return text if rounded == context else render(rounded)
            except SecurityError as error:
                raise template_error(place, text, f"the template is refused: {error}") from error
            except PatternError as error:
                raise ConfigError(f"manifest, {place}: {error.message}", hint=error.hint, place=place) from error
            except KitestringError:
                raise
            except (TemplateError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
                failure = template_error(place, text, f"the template fails: {error}")
                raise EvaluationError(failure.message, hint=failure.hint, **failure.fields) from error

        return render


_CACHE: dict[str, ParsedTemplate] = {}
"""What was compiled. A template knows no configuration: that is bound to it by each source."""


def is_container(value: Any) -> bool:
    """Containers are rendered: their text is what is read as a literal, so that odd members turn it into a text."""
    return isinstance(value, dict | list | tuple | set)


def without_literal(value: Any) -> bool:
    """Whether a container holds a number that has no Python literal: a decimal, NaN, infinity."""
    if isinstance(value, dict):
        return any(map(without_literal, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(without_literal, value))
    return isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value))


def floats(value: Any) -> Any:
    """A value with floats in the place of decimals."""
    if type(value) is dict:
        return {name: floats(inner) for name, inner in value.items()}
    if type(value) is list:
        return [floats(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else value


def render_text(template: Any, context: dict[str, Any]) -> str:
    from jinja2.exceptions import SecurityError

    parts: list[str] = []
    size = 0
    for part in template.root_render_func(template.new_context(context)):
        parts.append(part)
        size += len(part)
        if size > LONGEST_RESULT:
            raise SecurityError(f"it renders more than {LONGEST_RESULT:,} characters")
    return "".join(parts)


def template_error(place: str, text: str, fact: str) -> ConfigError:
    excerpt = text if len(text) <= 120 else text[:117] + "…"
    return ConfigError(f"manifest, {place}: {fact}: {excerpt}", hint="Correct the template.", place=place)


def single_expression(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is nothing but `{{ expression }}`."""
    from jinja2 import nodes

    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        return None
    expression = tree.body[0].nodes[0]
    return None if isinstance(expression, nodes.TemplateData) else expression


Steps = tuple[str, list[tuple[Any, Any]]]


def look_up(node: nodes.Expr | None) -> Steps | None:
    """`record.a['b'].get('c')` as a name and keys with defaults; None for any other expression.

    A name that a dict has as an attribute (`items`) is left to Jinja, which finds the attribute.
    """
    from jinja2 import nodes

    steps: list[tuple[Any, Any]] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr) and node.attr not in DICT_NAMES and node.attr not in SLICE_NAMES:
            steps.append((node.attr, _MISSING))
            node = node.node
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            if not isinstance(node.arg.value, str | int) or node.arg.value in DICT_NAMES:
                return None
            steps.append((node.arg.value, _MISSING))
            node = node.node
        elif (
            isinstance(node, nodes.Call)
            and isinstance(node.node, nodes.Getattr)
            and node.node.attr == "get"
            and not node.kwargs
            and node.dyn_args is None
            and node.dyn_kwargs is None
            and 1 <= len(node.args) <= 2
            and all(isinstance(arg, nodes.Const) for arg in node.args)
        ):
            arguments = [arg.value for arg in node.args]  # type: ignore[attr-defined]
            steps.append((arguments[0], arguments[1] if len(arguments) == 2 else None))
            node = node.node.node
        else:
            return None
    return (node.name, steps[::-1]) if steps and node.name not in macro.FUNCTIONS else None


SLICE_NAMES = frozenset({"partition", "cursor_slice", "extra_fields"})
