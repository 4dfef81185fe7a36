"""Options of Airbyte's connectors that do not exist here: accepted where they change nothing, else refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def without_ignored(
    options: Mapping[str, Any], ignored: Mapping[str, Callable[[Any], bool]], refusal: Callable[[str], str]
) -> dict[str, Any]:
    """The options without the ignored ones. `ignored` says of each whether a value has no effect here; `ValueError`
    with the sentence of `refusal` for another one."""
    own = dict(options)
    for name, has_no_effect in ignored.items():
        if name in own and not has_no_effect(own.pop(name)):
            raise ValueError(refusal(name))
    return own
