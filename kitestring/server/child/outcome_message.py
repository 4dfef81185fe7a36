"""Sends the outcome of an action to the parent: its value, or its error with masked secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from kitestring.errors import ConnectorError, KitestringError
from kitestring.server.child.call import ActionCall
from kitestring.server.child.limits import classify, out_of_memory
from kitestring.server.child.protocol import error_body


def send_outcome(
    call: ActionCall, run: Callable[[], Any], limits: Mapping[str, Any], send: Callable[..., None]
) -> None:
    """Run an action and send `result` with its `value`, or `error` with its `error`. A value that cannot be sent is an
    error too."""
    try:
        send("result", value=run())
    except KitestringError as error:
        send("error", error=call.masked(error_body(classify(error, limits))))
    except MemoryError:
        send("error", error=error_body(out_of_memory(limits)))
    except Exception as error:
        logging.getLogger("kitestring.jobs").exception("a job crashed")
        defect = ConnectorError(
            f"{call.request.get('action')} failed: {type(error).__name__}: {error}",
            hint="This is a defect: please report it, with the log of the attempt.",
        )
        send("error", error=call.masked(error_body(defect)))
