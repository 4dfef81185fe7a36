"""States of Airbyte's source-mongodb-v2 as ours.

Its shared state has the resume token of the change stream (of Debezium's offset up to version 2, as it is since then);
that of a stream says how far its first load is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from kitestring.errors import ConfigError
from kitestring.json_codec import JsonError, loads
from kitestring.sources.mongodb.change_stream import position_of_token, state_of
from kitestring.types import GLOBAL, State, States

COMPLETE = ("COMPLETE", "FULL_REFRESH")


def own_states(states: States) -> dict[str, State]:
    """The states, those of Airbyte's translated. An unfinished load of Airbyte's begins again."""
    own = dict(states)
    shared = states.get(GLOBAL, {})
    if "resumeToken" not in shared and "schema_enforced" not in shared:
        return own
    token = token_of(shared)
    position = position_of_token(token) or [0, 0]
    complete = [key for key, state in states.items() if key != GLOBAL and state.get("status") in COMPLETE]
    own[GLOBAL] = state_of(token, position, complete) if token is not None else {}
    for key, state in states.items():
        if "status" in state:
            is_complete = key in complete and token is not None
            own[key] = {"low": position, "first": position, "last": position} if is_complete else {}
    return own


def token_of(shared: State) -> Mapping[str, Any] | None:
    """The resume token of Airbyte's shared state; None where it had none yet."""
    if "resumeToken" in shared:
        return shared["resumeToken"]  # type: ignore[no-any-return]
    offsets = shared.get("state")
    if offsets is None:
        return None
    try:
        (offset,) = offsets.values()
        text = loads(offset)["resume_token"]
        int(text, 16)
        return {"_data": text}
    except ValueError:
        return token_of_bson(text)
    except (AttributeError, KeyError, TypeError, JsonError):
        raise unreadable() from None


def token_of_bson(text: str) -> Mapping[str, Any]:
    import bson

    try:
        return dict(bson.decode(base64.b64decode(text, validate=True)))
    except (bson.errors.BSONError, binascii.Error, ValueError):
        raise unreadable() from None


def unreadable() -> ConfigError:
    return ConfigError(
        "the state has no resume token that can be read, though it is one of Airbyte's source-mongodb-v2",
        hint="Refresh the streams.",
    )
