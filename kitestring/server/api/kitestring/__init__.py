"""Kitestring's own API, at /api/kitestring/v1, for what Airbyte's API does not have. One file per resource."""

from kitestring.server.api.kitestring import (
    audit,
    builder,
    builder_assist,
    builder_components,
    builder_language,
    builder_project_reads,
    builder_projects,
    bulk,
    checks,
    connection_list,
    connections,
    connector_updates,
    connector_versions,
    connectors,
    consents,
    credentials,
    data,
    endpoints,
    history,
    jobs,
    notifications,
    overviews,
    project,
    search,
    server,
    session,
    stream_fields,
    usage_report,
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
            endpoints,
            connections,
            jobs,
            search,
            data,
            builder,
            builder_assist,
            builder_components,
            builder_language,
            builder_projects,
            builder_project_reads,
            consents,
            project,
        ),
        *(notifications, connection_list, bulk, overviews, history, stream_fields, usage_report),
        *(connector_updates, connector_versions),
    )
)
"""All routers, for `app.py`."""
