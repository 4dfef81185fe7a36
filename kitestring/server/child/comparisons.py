"""Compares texts and chunks of a destination in a child process, for answers and similar records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from kitestring.server.child.actions import open_connector
from kitestring.server.child.call import ActionCall
from kitestring.server.child.data import browsing


def facts(call: ActionCall) -> Any:
    """How the collection can be searched (`ReadingFacts`)."""
    from kitestring.destination import Compares

    with open_connector(call, "destination") as destination:
        return asdict(browsing(call, destination, Compares).reading_facts())


def similarities(call: ActionCall) -> Any:
    """The cosine of each of `texts` with `text`. Nothing of the collection is read."""
    from kitestring.destination import Compares

    with open_connector(call, "destination") as destination:
        texts = [str(text) for text in call.request["texts"]]
        return browsing(call, destination, Compares).similarities(str(call.request["text"]), texts)


def chunk_similarities(call: ActionCall) -> Any:
    """The cosine of each pair of the chunks `chunkIds`; 0 for a chunk that the reader does not see."""
    from kitestring.destination import Compares

    with open_connector(call, "destination") as destination:
        ids = [str(each) for each in call.request["chunkIds"]]
        return browsing(call, destination, Compares).chunk_similarities(ids)


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "reading_facts": facts,
    "similarities": similarities,
    "chunk_similarities": chunk_similarities,
}
