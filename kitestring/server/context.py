"""The objects that all parts of a running server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from kitestring.server.jobs.action_runner import ActionRunner
from kitestring.server.jobs.queue import Queue
from kitestring.server.observability.tracing import Tracing
from kitestring.server.retrieval.search_processes import SearchProcesses
from kitestring.server.secrets.secret_box import SecretBox
from kitestring.server.settings import Settings
from kitestring.server.store import Store


@dataclass(frozen=True)
class Context:
    """The settings, the store, the encryption of secrets, the job queue, the runner of connector actions, and the
    search processes."""

    settings: Settings
    store: Store
    secret_box: SecretBox
    queue: Queue
    runner: ActionRunner
    searches: SearchProcesses
    tracing: Tracing = field(default_factory=Tracing)

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """Open and upgrade the store of these settings, and load the encryption keys."""
        from kitestring.server.builder import component_approval
        from kitestring.server.observability import audit
        from kitestring.server.store.upgrade import upgrade
        from kitestring.server.workspaces import workspaces

        tracing = Tracing.of()
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = Store(settings.store_url)
        upgrade(store)
        workspaces.begin(store)
        secret_box = SecretBox.of(settings.secret_key, settings.home)
        audit.listen(store, secret_box)
        runner = ActionRunner(settings, approved_components=lambda: component_approval.digests(settings, store))
        return cls(settings, store, secret_box, Queue(store, settings), runner, SearchProcesses(runner), tracing)

    def close(self) -> None:
        self.searches.close()
        self.runner.close()
        self.tracing.close()
        self.store.close()


def context_of(request: Request) -> Context:
    """The context of the server that answers a request: `Annotated[Context, Depends(context_of)]`."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context
