"""Names made safe for the other side, and kept apart: fields, columns, tables, files, collections."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

MARK_DIGITS = 8


def mark(name: str, digits: int = MARK_DIGITS) -> str:
    """The mark of a name: the first hexadecimal digits of its SHA-256. It depends on nothing but the name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def distinct(
    names: Iterable[str],
    safe: Callable[[str], str],
    *,
    reserved: Iterable[str] = (),
    folded: Callable[[str], str] = lambda name: name,
    longest: int | None = None,
    size: Callable[[str], int] = len,
) -> dict[str, str]:
    """The safe name of each name, no two alike.

    `safe` makes a name safe, and leaves one alone that is safe already; such a name stays as it is. Another takes its
    safe form where nobody else asks for that, else the form with the mark of the name behind it, so that the result
    depends on the names alone, not on their order. `reserved` names are taken from the beginning. `folded` says which
    names are one to the other side (`str.lower`); of those that are safe and one all the same, none is marked that is
    its own folded form. `longest`: so many characters a name may have, or whatever `size` counts; a longer one is cut
    and marked.
    """
    names = list(dict.fromkeys(names))
    forms = {name: safe(name) for name in names}
    reserved_forms = {folded(name) for name in reserved}
    users: dict[str, list[str]] = {}
    for name, form in forms.items():
        users.setdefault(folded(form), []).append(name)
    result: dict[str, str] = {}
    for name, form in forms.items():
        rivals = users[folded(form)]
        owners = [rival for rival in rivals if forms[rival] == rival] if len(rivals) > 1 else rivals
        if len(owners) > 1:
            owners = [rival for rival in owners if folded(rival) == rival]
        fits = longest is None or size(form) <= longest
        alone = owners == [name] and folded(form) not in reserved_forms
        if alone and fits:
            result[name] = form
            continue
        # Longer marks are for a name that looks like the mark of another.
        candidates = (marked(form, name, longest, digits, size) for digits in (MARK_DIGITS, 16, 32, 64))
        result[name] = next(
            candidate for candidate in candidates if folded(candidate) not in users.keys() | reserved_forms
        )
    return result


def marked(
    form: str, name: str, longest: int | None = None, digits: int = MARK_DIGITS, size: Callable[[str], int] = len
) -> str:
    """A safe form with the mark of its name, cut to the length if there is one."""
    end = f"_{mark(name, digits)}"
    return (form if longest is None else cut(form, longest - len(end), size)) + end


def cut(text: str, longest: int, size: Callable[[str], int] = len) -> str:
    """The beginning of a text, of this size at most. `size` is never less than the number of characters."""
    text = text[: max(longest, 0)]
    while size(text) > longest:
        text = text[:-1]
    return text
