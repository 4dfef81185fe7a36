"""Kitestring's own API, at /api/kitestring/v1, for what Airbyte's API does not have. One file per resource."""

from kitestring.server.api.kitestring import (
    audit,
    builder,
    checks,
    connections,
    connectors,
    consents,
    credentials,
    jobs,
    notifications,
    overviews,
    project,
    search,
    server,
    session,
    users,
)

ROUTERS = tuple(
    module.router
    for module in (
        *(
            session,
            users,
            audit,
            server,
            connectors,
            checks,
            credentials,
            connections,
            jobs,
            search,
            builder,
            consents,
            project,
        ),
        *(notifications, overviews),
    )
)
"""All routers, for `app.py`."""
