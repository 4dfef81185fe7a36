"""The tables of the store. Ids are UUID text, times are UTC milliseconds (`…_ms`), documents are JSON.

A change here comes with a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(36)
# SQLite counts only a column of this very type up by itself.
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[Any]:
    return Column("id", ID, primary_key=True)


def _ms(name: str, **options: Any) -> Column[Any]:
    return Column(name, BigInteger, **options)


def _created() -> Column[Any]:
    return _ms("created_at_ms", nullable=False)


# -- who may do what -------------------------------------------------------------------------------------------------

organizations = Table(
    "organizations",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    _created(),
)

workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    # By event: {"failure": {"email": {"enabled": …}, "webhook": {"enabled": …, "url": …}}, …}, as Airbyte has it.
    Column("notifications", JSON, nullable=False),
    _created(),
    _ms("deleted_at_ms"),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),  # argon2; null: this user comes by OIDC
    Column("subject", Text, unique=True),  # issuer and subject of OIDC
    Column("disabled", Boolean, nullable=False),
    _created(),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    _created(),
    _ms("expires_at_ms", nullable=False, index=True),
)

applications = Table(
    "applications",
    metadata,
    _id(),  # the client id
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    _created(),
)

permissions = Table(
    "permissions",
    metadata,
    _id(),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("permission_type", String(40), nullable=False),
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), index=True),
    Column("organization_id", ID, ForeignKey("organizations.id", ondelete="CASCADE"), index=True),
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("key", String(200), primary_key=True),  # of an address, of an e-mail address
    Column("count", Integer, nullable=False),
    _ms("since_ms", nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    _ms("at_ms", nullable=False, index=True),
    Column("actor", Text, nullable=False),  # a user's e-mail address, an application's name, "scheduler", "anybody"
    Column("action", String(40), nullable=False),  # create, update, delete, run, cancel, login, …
    Column("kind", String(40), nullable=False),  # source, destination, connection, …
    Column("resource_id", String(64), nullable=False),
    Column("workspace_id", ID, index=True),
    Column("changes", JSON, nullable=False),  # field → [before, after], secrets masked
)

# -- what moves from where to where ------------------------------------------------------------------------------------

definitions = Table(
    # Custom connectors only: built-in connectors and those of the connector index have their definition there.
    "definitions",
    metadata,
    _id(),
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(12), nullable=False),  # source, destination
    Column("name", Text, nullable=False),
    Column("docker_repository", Text),  # an image or an installed connector …
    Column("docker_image_tag", Text),
    Column("documentation_url", Text),
    Column("manifest", JSON),  # … or a low-code manifest
    Column("version", Integer, nullable=False),  # of a low-code connector: the current one of `connector_versions`
    Column("icon", Text, nullable=False, server_default=""),  # the text of an SVG
    _created(),
    _ms("deleted_at_ms"),
)

connector_versions = Table(
    # The published versions of custom low-code sources. A version is never changed.
    "connector_versions",
    metadata,
    Column("definition_id", ID, ForeignKey("definitions.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("manifest", Text, nullable=False),  # YAML, as it was written
    Column("note", Text, nullable=False, server_default=""),
    Column("breaking", Boolean, nullable=False, server_default=false()),
    Column("created_by", Text, nullable=False, server_default=""),
    _created(),
)

builder_projects = Table(
    # Drafts of the connector builder.
    "builder_projects",
    metadata,
    _id(),
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("icon", Text, nullable=False, server_default=""),
    Column("draft", Text, nullable=False),  # the manifest as YAML, as it was written; it may be unfinished
    Column("config", JSON, nullable=False),  # for test reads; secrets are sealed
    Column("origin", JSON, nullable=False),  # what it began with: {"kind", "name", "version"}
    Column("definition_id", ID, index=True),  # what it was published as
    Column("revision", Integer, nullable=False),  # grows by one with each change
    Column("created_by", Text, nullable=False, server_default=""),
    Column("updated_by", Text, nullable=False, server_default=""),
    _created(),
    _ms("updated_at_ms", nullable=False),
    _ms("deleted_at_ms"),
)


def _endpoint_table(name: str, *columns: Column[Any]) -> Table:
    return Table(
        name,
        metadata,
        _id(),
        Column("workspace_id", ID, ForeignKey("workspaces.id"), nullable=False, index=True),
        Column("name", Text, nullable=False),
        Column("definition_id", ID, nullable=False),
        Column("connector", Text, nullable=False),  # as the registry takes it: zendesk_support, source-faker@6.2.0
        Column("config", JSON, nullable=False),  # secrets are sealed: see secrets/secret_box.py
        *columns,
        # Whether an instance's admin wrote the configuration: see confinement.py.
        Column("trusted", Boolean, nullable=False, server_default=false()),
        Column("origin", Text, nullable=False, server_default=""),  # the name in the project file that manages it
        # What ends of its credentials, as its connector told last: `[{name, at, hint}]`.
        Column("credential_ends", JSON),
        Column("last_check", JSON),  # the last test of this configuration: see check_results.py
        Column("created_by", Text, nullable=False, server_default=""),  # an actor, as in `audit`; empty: not known
        _created(),
        _ms("updated_at_ms", nullable=False),
        _ms("deleted_at_ms"),
        Index(f"ix_{name}_list", "workspace_id", "created_at_ms", "id"),
    )


# `connector_version`: of a custom low-code source, the version that it runs; null: the current one.
sources = _endpoint_table("sources", Column("connector_version", Integer))
# `reader_permission`: {"permission": conditions, "applications": client ids}; null: readers read everything.
destinations = _endpoint_table("destinations", Column("reader_permission", JSON))

connections = Table(
    "connections",
    metadata,
    _id(),
    Column("workspace_id", ID, ForeignKey("workspaces.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("source_id", ID, ForeignKey("sources.id"), nullable=False, index=True),
    Column("destination_id", ID, ForeignKey("destinations.id"), nullable=False, index=True),
    Column("status", String(12), nullable=False),  # active, inactive, deprecated (deleted), locked
    Column("status_reason", Text, nullable=False, server_default=""),  # why it is paused
    Column("schedule", JSON, nullable=False),  # {"type": manual | basic | cron, …}: see schedule.py
    _ms("next_run_at_ms"),  # null: not scheduled
    Column("namespace_definition", String(16), nullable=False),  # source, destination, custom_format
    Column("namespace_format", Text),
    Column("prefix", Text, nullable=False),
    Column("schema_policy", String(24), nullable=False),  # ignore, disable_connection, propagate_columns, …_fully
    Column("streams", JSON, nullable=False),  # the configured streams, as StreamConfiguration has them
    Column("catalog", JSON),  # as discovered when streams were last chosen or changes were last accepted
    Column("pending_changes", JSON),  # schema changes that wait for an answer
    Column("options", JSON, nullable=False),  # max_rejects, max_nulled_share, allow_empty, notify, …
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row, since the last success
    Column("origin", Text, nullable=False, server_default=""),
    Column("created_by", Text, nullable=False, server_default=""),  # an actor, as in `audit`; empty: not known
    _created(),
    _ms("updated_at_ms", nullable=False),
    _ms("deleted_at_ms"),
    Index("ix_connections_list", "workspace_id", "created_at_ms", "id"),
    Index("ix_connections_created", "created_at_ms", "id"),
    Index("ix_connections_due", "next_run_at_ms", postgresql_where=text("next_run_at_ms IS NOT NULL")),
)

tags = Table(
    "tags",
    metadata,
    _id(),
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("color", String(16), nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

connection_tags = Table(
    "connection_tags",
    metadata,
    Column("connection_id", ID, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ID, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
)

states = Table(
    "states",
    metadata,
    Column("connection_id", ID, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "stream", String(512), primary_key=True
    ),  # the stream's key; "" is shared by several, "_counts" the engine's
    Column("state", JSON, nullable=False),
    _ms("saved_at_ms", nullable=False),
)

replication_slots = Table(
    # The slot that a connection's source reads: its last report, and what is to become of it when the connection goes.
    "replication_slots",
    metadata,
    Column("connection_id", ID, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("report", JSON, nullable=False),  # a SlotReport
    Column("created", Boolean, nullable=False),  # a job of ours created the slot
    Column("marks", JSON, nullable=False),  # [[ms, end of the log at that time], …]
    _ms("reported_at_ms", nullable=False),
    _ms("inactive_since_ms"),
    Column("alert", String(16), nullable=False, server_default=""),  # what was notified last: idle, unreserved, lost
    Column("problem", Text, nullable=False, server_default=""),  # why it could not be seen
    Column("removal", JSON),  # {"status": waiting | dropped | kept, "tries", "message", "hint"}: after a deletion
    _ms("look_at_ms", index=True),  # null: nobody looks any more
)

# -- jobs --------------------------------------------------------------------------------------------------------------

jobs = Table(
    "jobs",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("workspace_id", ID, nullable=False),
    Column("connection_id", ID, nullable=False),
    Column("source_id", ID, nullable=False),
    Column("kind", String(12), nullable=False),  # sync, clear, refresh, backfill: see child/sync.py, child/refresh.py
    # pending → running → succeeded | suspicious | failed | cancelled; incomplete: waits for its next attempt.
    Column("status", String(12), nullable=False),
    Column("cause", String(12), nullable=False),  # manual, schedule, api, interface, schema
    Column("options", JSON, nullable=False),  # streams to clear or refresh, a window to read again, …
    Column("attempts", Integer, nullable=False),  # begun so far
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row, of attempts that moved nothing
    Column("most_attempts", Integer, nullable=False),  # so many such failures end the job
    _ms("run_after_ms", nullable=False),  # not claimed earlier
    Column("cancel", Boolean, nullable=False),  # asked to stop
    Column("worker", String(80)),  # who runs it
    # Grows by one with each claim. Every write for the job names it, and is refused after a later claim.
    Column("epoch", Integer, nullable=False),
    _ms("lease_until_ms"),
    # Delivered and not read again: what the checkpoints of all attempts cover, kept in the transaction of each.
    Column("records", BigInteger, nullable=False),
    Column("nbytes", BigInteger, nullable=False),
    Column("error", JSON),  # {"type", "message", "hint"} of the last attempt
    _created(),
    _ms("started_at_ms"),
    _ms("updated_at_ms", nullable=False),
    _ms("ended_at_ms"),
    # One job of a connection at a time: the database itself refuses a second.
    Index(
        "uq_jobs_active",
        "connection_id",
        unique=True,
        sqlite_where=text("status IN ('pending', 'running', 'incomplete')"),
        postgresql_where=text("status IN ('pending', 'running', 'incomplete')"),
    ),
    Index(
        "ix_jobs_claim",
        "run_after_ms",
        "id",
        sqlite_where=text("status IN ('pending', 'running', 'incomplete')"),
        postgresql_where=text("status IN ('pending', 'running', 'incomplete')"),
    ),
    Index("ix_jobs_connection", "connection_id", "id"),
    Index("ix_jobs_workspace", "workspace_id", "id"),
    Index("ix_jobs_workspace_status", "workspace_id", "status", "id"),
    Index("ix_jobs_status", "status", "id"),
    Index("ix_jobs_kind", "kind", "id"),
    Index("ix_jobs_workspace_kind", "workspace_id", "kind", "id"),
    Index("ix_jobs_updated", "updated_at_ms"),
    Index("ix_jobs_created", "created_at_ms", "id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", NUMBER, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1
    # running, succeeded, suspicious, failed, cancelled; lost: its worker died; incomplete: its worker was stopped
    Column("status", String(12), nullable=False),
    Column("worker", String(80), nullable=False),
    Column("epoch", Integer, nullable=False),
    _ms("started_at_ms", nullable=False),
    _ms("ended_at_ms"),
    Column("progress", JSON),  # while it runs: engine.Progress.snapshot(), and `waiting`
    # While it runs engine.Progress.summary(); when it has ended `sums`, the figures of all streams together.
    Column("summary", JSON),
    Column("streams", JSON),  # when it has ended: as engine.StreamResult.as_dict() has them, by stream
    Column("durable", JSON),  # by stream, what its saved checkpoints cover: see engine/coverage.py
    Column("moved", Boolean, nullable=False, server_default=text("false")),  # it saved something new
    Column("error", JSON),
)

log_parts = Table(
    # What a worker forwards of the logs on its machine, for the APIs on others: see jobs/forward.py.
    "log_parts",
    metadata,
    Column("job_id", NUMBER, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # of the attempt
    Column("place", BigInteger, primary_key=True),  # how many bytes of the log come before
    Column("size", BigInteger, nullable=False),  # of the part, in bytes of the log
    Column("body", LargeBinary, nullable=False),  # whole lines, compressed with zlib
    _ms("at_ms", nullable=False, index=True),
)

totals = Table(
    # What the ended jobs of all times come to, for /metrics: see totals.py.
    "totals",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("value", Float, nullable=False),
)

consumption = Table(
    # What the ended jobs of a connection moved and cost on each day, for the usage page: see consumption.py.
    # Retention removes jobs and keeps these rows.
    "consumption",
    metadata,
    Column("connection_id", ID, primary_key=True),
    Column("day", String(10), primary_key=True),  # of the job's end, in UTC: 2026-11-29
    Column("workspace_id", ID, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("failed", Integer, nullable=False),  # of the jobs
    Column("read", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("chunks", BigInteger, nullable=False),  # embedded
    Column("tokens", BigInteger, nullable=False),
    Column("unpriced_tokens", BigInteger, nullable=False),  # of the tokens: of models whose price is not known
    Column("cost_usd", Float, nullable=False),
    Index("ix_consumption_workspace", "workspace_id", "day"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    _ms("started_at_ms", nullable=False),
    _ms("seen_at_ms", nullable=False),
)

quotas = Table(
    # A budget of calls or tokens that all jobs of all workers share: see jobs/rate_limits.py.
    "quotas",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("level", Float, nullable=False),
    _ms("at_ms", nullable=False),
)

notices = Table(
    # Notifications that wait to be sent; a row goes when it was.
    "notices",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("workspace_id", ID, nullable=False),
    Column("event", String(40), nullable=False),
    Column("body", JSON, nullable=False),
    Column("tries", Integer, nullable=False),
    _ms("due_at_ms", nullable=False, index=True),
    _created(),
)

# -- the rest ----------------------------------------------------------------------------------------------------------

discoveries = Table(
    # The last catalog of each source, so that listing its streams needs no call.
    "discoveries",
    metadata,
    Column("source_id", ID, ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
    Column("config_hash", String(64), nullable=False),
    Column("catalog", JSON, nullable=False),
    _ms("at_ms", nullable=False),
)

consents = Table(
    # OAuth consents under way, by the hash of their `state`; and what tests of drafts renewed (draft_credentials.py).
    "consents",
    metadata,
    Column("state_hash", String(64), primary_key=True),
    Column("body", JSON, nullable=False),
    _ms("expires_at_ms", nullable=False),
)

renewals = Table(
    # Who renews the credentials of a source or destination now: see jobs/config_updates.py.
    "renewals",
    metadata,
    Column("actor_id", ID, primary_key=True),
    Column("holder", String(64), nullable=False),
    _ms("until_ms", nullable=False),
)

idempotency_keys = Table(
    # Requests that may come again, for 24 hours: see http/idempotency.py.
    "idempotency_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),  # SHA-256 of the principal and the key
    Column("request_digest", Text, nullable=False),  # keyed: nothing of a body is kept
    Column("answer", Text),  # sealed; null while the request runs
    _ms("running_until_ms", nullable=False),
    _ms("expires_at_ms", nullable=False, index=True),
)

component_approvals = Table(
    # The Python components of low-code sources that an instance admin lets run: see builder/component_approval.py.
    "component_approvals",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the code
    Column("code", Text, nullable=False),  # as it was approved
    Column("approved_by", Text, nullable=False),
    _ms("approved_at_ms", nullable=False),
)

oauth_credentials = Table(
    # A workspace's or an organization's own OAuth client for a connector.
    "oauth_credentials",
    metadata,
    Column("scope_id", ID, primary_key=True),
    Column("kind", String(12), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("config", JSON, nullable=False),  # sealed
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(120), primary_key=True),
    Column("value", JSON, nullable=False),
)
