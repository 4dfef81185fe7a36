"""A server that took the place of another one: the log is read on from the GTIDs that are known, in its own files."""

from __future__ import annotations

import logging

from kitestring.sources.mysql.log_server import LogServer
from kitestring.types import GLOBAL, States
from kitestring.vendors.mysql.binlog import OFFSET_BITS, LogName, number_of, position_of

log = logging.getLogger("kitestring.mysql")


def states_at(server: LogServer, states: States) -> States:
    """The states with the position that they have in the log of this server, which gets its `shift`.

    As they are, where the server has their position. Also where it has not, and cannot go on from their GTIDs: it is
    MySQL, its log does not have them (the last of them with its time), a load was not complete, or it is the same
    server, whose log was reset. Then the streams are lost. A stream that failed
    before is lost, too: only the position that all streams share has its GTIDs.
    """
    shared = states.get(GLOBAL, {})
    position, place = shared.get("position"), shared.get("log", {})
    server.shift = place.get("shift", 0)
    gtid, last = place.get("gtid", ""), place.get("last", ())
    if position is None or not server.is_mariadb or not gtid or not last or not server.loss(position, place):
        return states
    if place.get("server", "") in ("", server.identity()):
        return states
    if any(states.get(key, {}).get("last", 0) > position for key in shared.get("streams", ())):
        return states
    behind = server.find(gtid, last)
    if behind is None:
        return states
    file, offset = behind
    server.shift = max(0, (position >> OFFSET_BITS) + 1 - number_of(file))
    position = position_of(file, offset, server.shift)
    log.warning(
        "%s is another server than the changes were read from: the log is read on from its %s:%d, where it has the "
        "same transactions (GTID %s)",
        server.config.server_address,
        file,
        offset,
        gtid,
    )
    moved = {"base": LogName.of(file).base, "server": server.identity(), "position": position}
    place = {**place, **moved, "shift": server.shift, "floor": position}
    return {**states, GLOBAL: {**shared, "position": position, "log": place}}
