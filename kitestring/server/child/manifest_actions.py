"""Actions on manifests in a child process: they are resolved and validated; their secrets and changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from kitestring.errors import ConfigError
from kitestring.server.child.call import ActionCall


def manifest_values(call: ActionCall) -> Any:
    """The values of a manifest's text as JSON has them."""
    from kitestring.declarative.manifest import json_values

    return json_values(str(call.request["manifest"]))


def manifest_resolve(call: ActionCall) -> Any:
    """A manifest with its references resolved."""
    from kitestring.declarative.builder.resolution import resolved

    return resolved(call.request["manifest"])


def manifest_validate(call: ActionCall) -> Any:
    """The defects of a manifest."""
    from dataclasses import asdict

    from kitestring.declarative.builder.validation import validate

    return [asdict(defect) for defect in validate(call.request["manifest"], call.request.get("config"))]


def manifest_secrets(call: ActionCall) -> Any:
    """The places of secrets in a configuration of a manifest, by the manifest's spec."""
    from kitestring.config import secret_places
    from kitestring.declarative.manifest import parse, resolve

    # Not `connection_specification`, which takes what is not an object for an empty form: nothing would be secret then.
    spec = resolve(parse(str(call.request["manifest"]))).get("spec")
    form = spec.get("connection_specification") if isinstance(spec, Mapping) else None
    if form is not None and not isinstance(form, Mapping):
        raise ConfigError("the connection_specification of the manifest is not an object")
    return [list(place) for place in dict.fromkeys(secret_places(call.request["config"], form or {}))]


def manifest_compare(call: ActionCall) -> Any:
    """The values of a manifest, and the changes for those who use other versions of it.

    `values` are null if it has defects. `changes` are by the names in `versions`, empty with defects. `python` has
    the classes that it names and does not carry.
    """
    from dataclasses import asdict

    from kitestring.declarative.builder.comparison import compare
    from kitestring.declarative.builder.validation import validate
    from kitestring.declarative.manifest import json_values, resolve
    from kitestring.declarative.python_components import missing_classes

    text = str(call.request["manifest"])
    answer: dict[str, Any] = {"defects": [asdict(defect) for defect in validate(text)], "values": None, "changes": {}}
    values = None
    with contextlib.suppress(ConfigError):  # it is among the defects
        values = json_values(text)
    answer["python"] = sorted({name for name, _ in missing_classes(resolve(values))}) if values is not None else []
    if answer["defects"] or values is None:
        return answer
    changes = {
        name: [asdict(change) for change in compare(json_values(before), values)]
        for name, before in call.request["versions"].items()
    }
    return {**answer, "values": values, "changes": changes}


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "manifest_resolve": manifest_resolve,
    "manifest_validate": manifest_validate,
    "manifest_values": manifest_values,
    "manifest_secrets": manifest_secrets,
    "manifest_compare": manifest_compare,
}
