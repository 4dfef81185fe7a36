"""Builds the request of a child process for a job: action, plan, states and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitestring.server.builder import component_approval
from kitestring.server.child.catalog_digest import digest
from kitestring.server.connectors.confinement import limits_of
from kitestring.server.jobs.continuous_job import left_s
from kitestring.server.secrets.references import patterns_of

if TYPE_CHECKING:
    from kitestring.server.context import Context
    from kitestring.server.jobs.claim import Claim
    from kitestring.server.jobs.connection_plan import Plan
    from kitestring.server.jobs.log import Log


def build_request(context: Context, claim: Claim, plan: Plan, log: Log, *, watched: bool) -> dict[str, Any]:
    """The request of a claim. `watched`: the child reports a changed catalog before it reads."""
    settings, continuous = context.settings, claim.options.get("continuous")
    return {
        "action": "follow" if continuous else claim.kind,
        **plan.body(),
        "options": dict(claim.options),
        **({"lasts_s": left_s(context.queue, claim, continuous["rollover_s"])} if continuous else {}),
        "states": context.queue.states(claim.connection_id),
        "notes": context.queue.counts_of_other_connections(claim.connection_id),
        "expected": context.queue.last_reads(claim.connection_id),
        "done": context.queue.completed_streams(claim.job_id),
        "catalog": plan.catalog,
        "watched": watched,
        "shared": True,
        "catalog_digest": digest(plan.catalog),
        "rejects": str(settings.home / "rejects"),
        "limits": {"memory_mb": settings.memory_mb, "cpu_s": 0 if continuous else settings.cpu_s},
        "log_level": settings.log_level,
        "allow_private_hosts": settings.allow_private_hosts,
        "allowed_networks": settings.allowed_networks,
        "references": patterns_of(settings),
        "machine": limits_of(settings, component_approval.digests(context.settings, context.store)),
    }
