"""The part of Airbyte's Config API, at /api/v1, that clients call. Every call is a POST with a JSON body."""

from kitestring.server.api.airbyte_config import (
    builder_consents,
    builder_projects,
    connections,
    definitions,
    endpoints,
    jobs,
    states,
    workspaces,
)

ROUTERS = (
    workspaces.open_router,
    workspaces.router,
    endpoints.sources,
    endpoints.destinations,
    connections.router,
    jobs.router,
    states.router,
    definitions.sources,
    definitions.destinations,
    builder_projects.router,
    builder_projects.manifests,
    builder_consents.router,
)
