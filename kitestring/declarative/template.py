"""Templates: Jinja in a sandbox, compiled once. Plain texts and simple look-ups bypass Jinja.

The value of a template is its rendered text, parsed as a Python literal if it is one (`"5"` becomes 5), as in Airbyte's
engine. Undefined renders as nothing; an attribute of undefined is an error where a text is expected.
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
"""Held while Python builds a syntax tree, which is not thread-safe: if a finalizer lets another thread build one
meanwhile, CPython 3.11 raises `SystemError` (https://github.com/python/cpython/issues/106905)."""
CONSTANT_NAMES = frozenset({"config", "parameters"})
ALIASES = {"stream_interval": "stream_slice", "stream_partition": "stream_slice"}
DICT_NAMES = frozenset(dir(dict))


def literal(text: str, types: Types | None = None) -> Any:
    """The value of `text` if it is a Python literal (of one of `types`), else `text`."""
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
    """A valid template failed for these values."""


class Template:
    """`template(context)` is its value. `constant`: the value never changes. `exact`: a text is taken from the context
    unchanged, not parsed as a literal."""

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
        """Compile a template. A value that is not a text is its own value.

        `types` limits the literals. `empty` is the value of a template that renders to nothing, and of one that reads
        an attribute of undefined, if `empty` is not an empty text or the template is `tolerant` (the same distinction
        as in Airbyte's engine). A malformed template raises when its value is needed, or at once with `strict`: a
        manifest may have unused ones. `verbatim`: a text from a look-up is never parsed as a literal.
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
        # A text from a look-up is passed on unchanged where a text is expected: quotes stay.
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
        """Compile a condition: false for an empty result, 0, False, None, and their texts."""
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


def parsed_tree(text: str) -> Any:
    """The syntax tree of a template that compiles, as Jinja has it."""
    with _SYNTAX_TREES:
        return environment().parse(text)


def raise_always(defect: ConfigError) -> Callable[[Context], Any]:
    def evaluate(_: Context) -> Any:
        raise defect

    return evaluate


def truthful(value: Any) -> bool:
    if isinstance(value, str):
        return value not in ("False", "false", "{}", "[]", "()", "", "0", "0.0")
    return bool(value)


def literal_value(result: Any, types: Types | None, empty: Any) -> Any:
    """The value of a rendered text or of a look-up."""
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
"""How many compiled templates a process caches, and the longest of them in characters."""


class ParsedTemplate:
    """A parsed template: the names it reads, and the fastest way to its value."""

    __slots__ = ("_expression", "_path", "_template", "changes", "names", "text")

    def __init__(self, text: str, place: str) -> None:
        from jinja2 import TemplateSyntaxError, meta, nodes
        from jinja2.exceptions import TemplateError

        jinja = environment()
        self.text = text
        try:
            tree = jinja.parse(text)
            for forbidden in (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends):
                if next(tree.find_all(forbidden), None) is not None:
                    raise template_error(place, text, "a template cannot include or import")
            self.names = frozenset(meta.find_undeclared_variables(tree))
            if "stream_state" in self.names:
                raise template_error(place, text, "`stream_state` was removed from the language: use `stream_interval`")
            called = {node.name for node in tree.find_all(nodes.Name)}
            self.changes = bool(called & macro.CHANGING)
            single = single_expression(tree)
            self._path = look_up_steps(single) if single is not None else None
            self._expression = None
            self._template: Any = jinja.from_string(text)
            if single is not None and self._path is None:
                inner = text.strip()
                if text == inner and inner.startswith("{{") and inner.endswith("}}"):
                    self._expression = jinja.compile_expression(inner[2:-2].strip("-+ \n\t"), undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise template_error(place, text, f"the template is malformed: {error.message}") from error
        except (TemplateError, RecursionError) as error:
            raise template_error(place, text, f"the template cannot be compiled: {error}") from error

    @property
    def looks_up(self) -> bool:
        """Whether the template is only a path into its context, such as `{{ record['title'] }}`."""
        return self._path is not None

    def bound(self, config: Mapping[str, Any], parameters: Mapping[str, Any], place: str) -> Render:
        """Bind constants: `render(context)` returns a text, a value, `_MISSING`, or an `EvaluationError`."""
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
                raise template_error(place, text, f"{missing} is not available here")
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
                    place, text, f"the template reads an attribute of an undefined value ({error.message})"
                )
                return EvaluationError(failure.message, hint=failure.hint, **failure.fields)
            except TypeError:
                # Numbers of a page that a float cannot hold exactly are decimals, which do not mix with floats.
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
"""Compiled templates. They are independent of the configuration, which each source binds."""


def is_container(value: Any) -> bool:
    """Whether a value is a container: these are rendered and parsed, so that unusual members make them a text."""
    return isinstance(value, dict | list | tuple | set)


def without_literal(value: Any) -> bool:
    """Whether a container has a number without a Python literal: a decimal, NaN or infinity."""
    if isinstance(value, dict):
        return any(map(without_literal, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(without_literal, value))
    return isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value))


def floats(value: Any) -> Any:
    """A value with decimals replaced by floats."""
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
    """The expression of a template of the form `{{ expression }}`, else None."""
    from jinja2 import nodes

    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        return None
    expression = tree.body[0].nodes[0]
    return None if isinstance(expression, nodes.TemplateData) else expression


Steps = tuple[str, list[tuple[Any, Any]]]


def look_up_steps(node: nodes.Expr | None) -> Steps | None:
    """`record.a['b'].get('c')` as a name and keys with defaults; None for any other expression.

    A name that is an attribute of dict (`items`) is left to Jinja, which finds the attribute.
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
