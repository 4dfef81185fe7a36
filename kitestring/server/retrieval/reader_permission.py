"""The permission of readers of a destination: which rows a caller sees. `destination_reads.py` applies it to each read.

An admin of the workspace sets a template of conditions, and the applications that read for others. An admin reads
everything. Anybody else reads what the template lets pass with `$user`, the caller's e-mail address, and `$groups`,
none. An application that reads for others names its reader in each request, in the header `Kitestring-On-Behalf-Of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, null, update

from kitestring.errors import ConfigError
from kitestring.retrieval import permission
from kitestring.server.auth.on_behalf_of import HEADER
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import applications, destinations


def permission_for(row: Any, caller: Principal) -> Mapping[str, Any] | None:
    """The conditions that a caller reads a destination with; None for all of it. 403 for a caller who may not read for
    others, and for an application that does and names nobody."""
    stored = row.reader_permission
    reads_for_others = stored is not None and caller.application_id in stored["applications"]
    is_admin = caller.may(row.workspace_id, Role.admin)
    if caller.on_behalf_of is not None:
        if not (is_admin or reads_for_others):
            raise Problem(
                403,
                f"the request has {HEADER}, and its caller may not read this destination for others",
                hint="Have an admin of the workspace add the application to the permission of readers.",
            )
        if stored is None:
            raise ConfigError(
                f"the request has {HEADER}, and the destination {row.name} has no permission of readers: it would show"
                " everything",
                hint=f"Set the permission of the destination, or leave out {HEADER}.",
            )
        attributes = caller.on_behalf_of
    elif stored is None:
        return None
    elif reads_for_others:
        raise Problem(
            403,
            f"this application reads for others, and the request has no {HEADER}",
            hint=f'Send it: {HEADER}: {{"user": "…", "groups": ["…"]}}.',
        )
    elif is_admin:
        return None
    else:
        attributes = {"user": caller.email or "", "groups": []}
        if not caller.email:
            raise Problem(
                403, "this destination has a permission of readers, and the caller is no user", hint="Log in."
            )
    return permission.substituted(stored["permission"], attributes)


def set_permission(
    context: Context,
    db: Connection,
    destination_id: str,
    template: Mapping[str, Any] | None,
    application_ids: list[str],
) -> None:
    """Set the permission of readers of a destination; None removes it. `ConfigError` for a template that is none."""
    row = endpoints.get(db, "destination", destination_id)
    stored: Any = null()
    if template is not None:
        permission.check_template(template)
        for application_id in application_ids:
            known = applications.select().where(applications.c.id == application_id)
            if db.execute(known).first() is None:
                raise ConfigError(
                    f"there is no application {application_id}", hint="Give the client id of an application."
                )
        stored = {"permission": dict(template), "applications": sorted(set(application_ids))}
    elif application_ids:
        raise ConfigError(
            "applications read for others, and the destination has no permission", hint="Give the permission too."
        )
    values = {"reader_permission": stored, "updated_at_ms": context.store.now_ms(db)}
    db.execute(update(destinations).where(destinations.c.id == row.id).values(**values))
