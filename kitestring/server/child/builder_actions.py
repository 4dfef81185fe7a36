"""Actions of the connector builder in a child process: test reads whose events are sent while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kitestring.config import secrets_in
from kitestring.errors import ConnectorError
from kitestring.server.child.call import ActionCall
from kitestring.server.child.credential_store import ActorCredentials
from kitestring.server.connectors.confinement import Confinement


def preparation(call: ActionCall) -> Callable[[Any], None]:
    """Prepares the source of a draft before its first request: its limits on this machine, and where renewed
    credentials are kept."""
    request = call.request
    confinement = Confinement.from_request(request.get("machine"), request)
    config = dict(request.get("config") or {})

    def prepare(source: Any) -> None:
        confinement.apply(source, "the manifest")
        source.keep_credentials(ActorCredentials(call, "source", keeper(call, config, source.form), dict))

    return prepare


def keeper(call: ActionCall, config: Mapping[str, Any], form: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], None]:
    """Has the parent keep the options that a draft's source has changed, sealed."""

    def keep(changed: Mapping[str, Any]) -> None:
        call.hide(set(secrets_in(changed, form)))
        call.parent.request_answer("config", end="source", config={**config, **changed}, spec=form)

    return keep


def components_source(call: ActionCall) -> Any:
    """The source of a draft with Python components; None for one without. `ConfigError` where they are not approved."""
    from kitestring.declarative.manifest import connection_specification, json_values
    from kitestring.declarative.python_components import FIELD

    manifest = call.request["manifest"]
    if isinstance(manifest, str):
        if FIELD not in manifest:  # parsing a large manifest takes a while
            return None
        manifest = json_values(manifest)
    config = dict(call.request.get("config") or {})
    if isinstance(manifest, dict):
        form = connection_specification(manifest)
        call.hide(set(secrets_in(config, form)))
        confinement = Confinement.from_request(call.request.get("machine"), call.request)
        source = confinement.build_with_components(manifest, config)
        if source is not None:
            source.on_config(keeper(call, config, form))
        return source
    return None


def manifest_read(call: ActionCall) -> Any:
    """A preview of one stream of a manifest, with the secrets of the configuration masked."""
    from kitestring.declarative.builder.preview import Limits, Reading, read
    from kitestring.server.child.components_read import read_with_components

    request = call.request
    call.hide(set(request.get("secrets") or ()))
    source = components_source(call)
    if source is not None:
        reading = Reading(str(request["stream"]))
        read_with_components(call, source, Limits(**request["most"]), reading.add)
        return reading.values()
    preview = read(
        request["manifest"],
        dict(request.get("config") or {}),
        str(request["stream"]),
        state=request.get("state"),
        built=preparation(call),
        secrets=request.get("secrets") or (),
        **request["most"],
    )
    return preview.values()


def manifest_read_events(call: ActionCall) -> Any:
    """A test read whose events are sent as messages of the kind `event`."""
    from kitestring.declarative.builder.preview import Event, Limits, event_values, read_events
    from kitestring.server.child.components_read import read_with_components

    request = call.request
    call.hide(set(request.get("secrets") or ()))

    def report(event: Event) -> None:
        name, values = event_values(event)
        call.parent.send("event", event={"event": name, **values})

    source = components_source(call)
    if source is not None:
        read_with_components(call, source, Limits(**request["most"]), report)
        return {}
    read_events(
        request["manifest"],
        dict(request.get("config") or {}),
        str(request["stream"]),
        report,
        state=request.get("state"),
        limits=Limits(**request["most"]),
        built=preparation(call),
        cancelled=call.cancel.is_set,
        secrets=request.get("secrets") or (),
    )
    return {}


def manifest_full_resolve(call: ActionCall) -> Any:
    """A resolved manifest with the streams of its dynamic streams, at most `most` of each."""
    from kitestring.declarative.builder.resolution import fully_resolved

    request = call.request
    secrets = [str(text) for text in request.get("secrets") or ()]
    call.hide(set(secrets))
    config = dict(request.get("config") or {})
    return fully_resolved(request["manifest"], config, int(request["most"]), preparation(call), secrets)


def builder_begin(call: ActionCall) -> Any:
    """The first manifest of a connector, from an address, a command, or a document, which may be fetched."""
    from kitestring.declarative.builder.beginning import begin
    from kitestring.declarative.builder.document_fetch import fetch_document

    request = call.request
    beginning = begin(
        str(request["kind_of_beginning"]),
        str(request.get("text") or ""),
        str(request.get("url") or ""),
        [str(name) for name in request.get("streams") or ()],
        lambda url: fetch_document(url).text,
        request.get("beside") or {},
    )
    return beginning.values()


def builder_propose(call: ActionCall) -> Any:
    """Proposals for a stream of a manifest, by requests to its API."""
    from kitestring.declarative.builder.proposals import propose

    request = call.request
    secrets = [str(text) for text in request.get("secrets") or ()]
    call.hide(set(secrets))
    proposals = propose(
        request["manifest"],
        dict(request.get("config") or {}),
        str(request["stream"]),
        [str(name) for name in request["what"]],
        most=int(request["most_requests"]),
        built=preparation(call),
        cancelled=call.cancel.is_set,
        secrets=secrets,
    )
    return proposals.values()


def builder_document(call: ActionCall) -> Any:
    """The text of a documentation page, at most `most` characters of it."""
    from kitestring.declarative.builder.document_fetch import fetch_document
    from kitestring.declarative.builder.page_text import page_text

    document = fetch_document(str(call.request["url"]))
    return {"text": page_text(document.text, document.media_type, int(call.request["most"]))}


def builder_assist(call: ActionCall) -> Any:
    """Proposals that the API confirms, from the answer of a model (which may be empty)."""
    from kitestring.declarative.builder.assistance import assist
    from kitestring.declarative.builder.suggestion import Suggestions, suggestions_in

    request = call.request
    secrets = [str(text) for text in request.get("secrets") or ()]
    call.hide(set(secrets))
    suggestions, notes = Suggestions(), list[str]()
    if request["answer"]:
        try:
            suggestions = suggestions_in(str(request["answer"]))
        except ConnectorError as error:
            notes.append(f"Assistant: {error.message}. Names and answers alone were tried.")
    proposals = assist(
        request["manifest"],
        dict(request.get("config") or {}),
        str(request["stream"]),
        suggestions,
        built=preparation(call),
        cancelled=call.cancel.is_set,
        secrets=secrets,
        documentation=str(request.get("documentation") or ""),
        most=int(request["most_requests"]),
    )
    proposals.notes[:0] = notes
    return proposals.values()


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "builder_assist": builder_assist,
    "builder_begin": builder_begin,
    "builder_document": builder_document,
    "builder_propose": builder_propose,
    "manifest_full_resolve": manifest_full_resolve,
    "manifest_read": manifest_read,
    "manifest_read_events": manifest_read_events,
}
