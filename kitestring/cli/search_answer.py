"""The answer to a search as JSON, from the search daemon or from a sync that has the place open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from kitestring.errors import KitestringError
from kitestring.redact import Redactor

FORMAT = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def answer_of(destination: Any, request: Mapping[str, Any], secrets: Redactor | None = None) -> bytes:
    """The answer to a search of a destination as JSON: `{"hits": …}` or `{"error": …}`."""
    from kitestring import library

    try:
        hits = library.search(destination, request["text"], **request["options"])
        return orjson.dumps({"hits": hits}, default=str, option=FORMAT)
    except KitestringError as error:
        return error_answer(error, secrets)
    except Exception as error:  # noqa: BLE001 - the daemon goes on
        return orjson.dumps({"error": {"type": "ConnectorError", "message": type(error).__name__, "hint": ""}})


def error_answer(error: KitestringError, secrets: Redactor | None) -> bytes:
    """An error as JSON, with the secrets masked."""
    redactor = secrets or Redactor()
    body = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    return orjson.dumps({"error": redactor.value(body)})
