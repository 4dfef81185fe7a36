"""Every vector destination: records in, chunks with vectors out, and only what changed is embedded.

The order of events is the promise: compare with the digests stored beside the chunks, embed what is new, store it, and
only then remove what it replaces. A store (`store.py`) supplies the verbs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.config import one_of, option
from kitestring.destination import Destination
from kitestring.errors import ConfigError, KitestringError
from kitestring.json_codec import dumps
from kitestring.types import EVERY_WRITE, Receipt, Record, Stream, Write
from kitestring.vector import deletion
from kitestring.vector.diff import Draft, Plan, compare, overlay
from kitestring.vector.embedders import Embedding
from kitestring.vector.filters import parse
from kitestring.vector.homonym import refuse_homonyms
from kitestring.vector.overwrite import apply
from kitestring.vector.processing import Processing
from kitestring.vector.record_key import stream_id
from kitestring.vector.staging import Shadow, ShadowRow, shadow_path
from kitestring.vector.store import Chunk, Store, Stored
from kitestring.vector.stream_writer import Prepared, Run
from kitestring.vector.usage import Bill

if TYPE_CHECKING:
    from kitestring.http import Share
    from kitestring.vector.store import Vector

log = logging.getLogger("kitestring.vector")


class VectorDestination(Destination):
    """Chunks, embeds and stores the records of streams. A subclass says how to `connect` to its store.

    `append` adds every record; `append_dedup` keeps one version per primary key and touches only chunks that changed;
    `overwrite` collects the new generation in a shadow and applies it in `commit`, again only what changed.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    batch_rows: ClassVar[int] = 1_000

    processing: Processing = option(title="Processing", group="processing")
    embedding: Embedding = one_of(
        "mode",
        title="Embedding",
        description="The model that turns texts into vectors.",
        group="embedding",
        type="object",
    )
    omit_raw_text: bool = option(
        False,
        title="Do not store raw text",
        description="Store the vectors and the metadata without the text they were made from.",
        group="advanced",
    )
    shadow_folder: str | None = option(
        None,
        title="Shadow folder",
        local_path=True,
        description="Where an overwrite collects its data until it is complete: room for the stream's chunks and"
        " vectors. Default: beside an embedded store, else the user's state folder.",
        group="advanced",
    )

    _runs: dict[str, Run] = PrivateAttr(default_factory=dict)
    _estimated: int = PrivateAttr(default=0)
    _objected: bool = PrivateAttr(default=False)
    _schemas: list[Mapping[str, Any]] = PrivateAttr(default_factory=list)
    _unwritten: set[str] = PrivateAttr(default_factory=set)
    _opened: Store | None = PrivateAttr(default=None)
    _lock: threading.RLock = PrivateAttr(default_factory=threading.RLock)

    # -- what a subclass says ------------------------------------------------------------------------------------------

    def connect(self) -> Store:
        """A connection to the collection that the configuration names."""
        raise NotImplementedError

    def place(self) -> str:
        """What tells this collection from every other one (address, database, name); no secrets."""
        raise NotImplementedError

    def default_shadow_folder(self) -> Path:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "kitestring"
        return state if writable(state) else Path(tempfile.gettempdir()) / "kitestring"

    def share(self, share: Share) -> None:
        self.embedding.share(share)

    # -- the contract --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.embedding.check()
        self.store.check(self.embedding.dimension)
        self._object(0)

    def expect(self, streams: Sequence[Stream]) -> None:
        self._schemas = [stream.schema for stream in streams]
        self._unwritten = {stream.key for stream in streams}

    def begin(self, stream: Stream) -> None:
        run = Run(stream, self.processing, self.embedding, self.omit_raw_text)
        twin = next((r for k, r in self._runs.items() if r.name == run.name and k != stream.key), None)
        if twin is not None:
            raise ConfigError(
                f"the streams {twin.stream.key} and {stream.key} would both be stored as {run.name}",
                hint="Give one of them a prefix or another namespace.",
                streams=[twin.stream.key, stream.key],
            )
        schemas = self._schemas or [stream.schema]
        created = self.store.ensure(self.embedding.dimension, not stream.incremental, schemas)
        if not created:
            refuse_homonyms(self.store, stream)
            if stream.incremental:
                self._same_model(run)
        path = self._shadow_path(stream)
        overwrite, finished = stream.write.replace, False
        if overwrite or path.exists():
            shadow = Shadow(path)
            try:
                if shadow.sealed:  # a crash or a lost connection in the middle of a commit: finish it first
                    log.info("finishing an overwrite that was interrupted", extra={"stream": stream.key})
                    apply(self.store, run.name, run.namespace, shadow)
                    finished = True
                if overwrite:
                    shadow.clear()
                    run.shadow = shadow
                else:
                    shadow.remove()
            except BaseException:
                shadow.close()
                raise
        if created and not finished and stream.key not in self._runs:
            run.written = set()
        self._runs[stream.key] = run

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        run = self._run(stream)
        prepared = Prepared(batch, run.recent.now())
        drafts, prepared.rejected, prepared.superseded = run.drafts(batch.rows())
        if not stream.write.appends:
            written = run.written
            prepared.stored = self._stored([d for d in drafts if written is None or d.key in written])
        replaces = self._replaces(run)
        prepared.plans = [compare(d, prepared.stored.get(d.key, ()), replaces) for d in drafts]
        self._fetch_vectors(run, prepared, prepared.plans)
        return prepared

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        run = self._run(stream)
        prepared = batch if isinstance(batch, Prepared) else self.prepare(stream, batch)
        assert isinstance(prepared, Prepared)
        return self._collect(run, prepared) if run.shadow is not None else self._replace(run, prepared)

    def commit(self, stream: Stream) -> None:
        run = self._runs.get(stream.key)
        if run is not None and run.shadow is not None:
            run.shadow.seal()
            apply(self.store, run.name, run.namespace, run.shadow)
            run.shadow.remove()
            run.shadow = None
        self._unwritten.discard(stream.key)
        if not self._unwritten:
            self.store.finish()

    def abort(self, stream: Stream) -> None:
        run = self._runs.get(stream.key)
        if run is not None and run.shadow is not None:
            # What is sealed is complete: it stays, and the next begin applies the rest of it.
            if run.shadow.sealed:
                run.shadow.close()
            else:
                run.shadow.remove()
            run.shadow = None
        if stream.key in self._unwritten:  # the others are not kept waiting
            self._unwritten.discard(stream.key)
            if not self._unwritten and self._opened is not None:
                with contextlib.suppress(KitestringError):  # the next sync comes by again
                    self._opened.finish()

    def close(self) -> None:
        with self._lock:
            for run in self._runs.values():
                if run.shadow is not None:
                    run.shadow.close()
            self._runs.clear()
            store, self._opened = self._opened, None
        if store is not None:
            store.close()
        self.embedding.close()

    # -- abilities -----------------------------------------------------------------------------------------------------

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        return deletion.delete(self.store, self._run(stream), keys)

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        return deletion.mark(self.store, self._run(stream), keys)

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt | None:
        return deletion.truncate(self.store, self._run(stream), deleted_at)

    def count(self, stream: Stream) -> int | None:
        run = self._runs.get(stream.key)
        if run is not None and not run.countable:
            return None
        return self.store.count(stream_id(stream))

    def estimate(self, stream: Stream, batch: Batch) -> Mapping[str, float]:
        run = self._run(stream)
        drafts, _, _ = run.drafts(batch.rows())
        stored = {} if stream.write.appends else self._stored(drafts)
        replaces = self._replaces(run)
        plans = [compare(d, stored.get(d.key, ()), replaces) for d in drafts]
        new = {plan.draft.digests[n]: plan.draft.texts[n] for plan in plans for n in plan.embed}
        tokens = 0 if run.reads_records else sum(map(run.splitter.tokens, new.values()))
        bill = Bill(self.embedding.usd_per_million_tokens, tokens=tokens)
        nbytes = sum(nbytes_of(plan, self.embedding.dimension) for plan in plans if not plan.unchanged)
        self._estimated += nbytes
        self._object(self._estimated)
        return {
            "records": len(drafts),
            "unchanged": sum(plan.unchanged for plan in plans),
            "chunks": sum(len(draft.texts) for draft in drafts),
            "chunks_embedded": len(new),
            "stored_mb": nbytes / 1e6,
            "tokens": bill.tokens,
            **bill.cost(),
        }

    def search(
        self,
        text: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        threshold: float | None = None,
        hybrid: bool | None = None,
        stream: str | None = None,
        include_deleted: bool = False,
    ) -> list[Record]:
        store = self.store
        if limit < 1:
            raise ConfigError(f"limit is {limit}, and a search gives at least one hit", hint="Leave it out for 10.")
        if hybrid and not store.hybrid:
            raise ConfigError(
                "a hybrid search was asked for, the collection has no index of words",
                hint="Set indexing.hybrid: true and sync into a new collection, or search without hybrid.",
            )
        vector = self.embedding.embed_query(text)
        return store.search(
            vector,
            text,
            where=parse(where) if isinstance(where, Mapping) else where or None,
            limit=limit,
            threshold=threshold,
            hybrid=store.hybrid if hybrid is None else hybrid,
            stream=stream,
            include_deleted=include_deleted,
        )

    # -- how -----------------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store, connected on first use."""
        with self._lock:
            if self._opened is None:
                self._opened = self.connect()
            return self._opened

    def _object(self, nbytes: int) -> None:
        """Say once what speaks against so many bytes more."""
        objection = None if self._objected else self.store.objection(nbytes)
        if objection is not None:
            log.warning(objection)
            self._objected = True

    def _same_model(self, run: Run) -> None:
        """An incremental stream brings only changes: beside vectors of another model no search would find them."""
        sample = next(iter(self.store.sample(run.name)), None)
        if sample is not None and sample.digest and not sample.digest.startswith(run.model):
            raise ConfigError(
                f"the vectors of {run.name} were made by another model than {self.embedding.model_name}",
                hint="Choose that model again, sync the stream once as full refresh, or name another collection.",
                stream=run.stream.key,
            )

    def _stored(self, drafts: Sequence[Draft]) -> dict[str, list[Stored]]:
        """What the store holds of these records. What an earlier version stored under another key is to be replaced."""
        stored = self.store.find([draft.ref for draft in drafts])
        keys = {draft.key for draft in drafts}  # what another record of the batch is stored under is that one's
        former = {
            ref.key: (draft, ref)
            for draft in drafts
            if draft.key not in stored and (ref := draft.former_ref) is not None and ref.key not in keys
        }
        if former:
            for key, chunks in self.store.find([ref for _, ref in former.values()]).items():
                draft = former[key][0]
                stored[draft.key] = [Stored(chunk.row, draft.key, None, chunk.digest) for chunk in chunks]
        return stored

    def _run(self, stream: Stream) -> Run:
        with self._lock:
            if stream.key not in self._runs:  # a dry run, or a deletion outside a sync
                self._runs[stream.key] = Run(stream, self.processing, self.embedding, self.omit_raw_text)
            return self._runs[stream.key]

    def _replaces(self, run: Run) -> bool:
        """A shadow replaces by identity, whatever the store does when it is applied."""
        return self.store.replaces or run.stream.write.replace

    def _shadow_path(self, stream: Stream) -> Path:
        folder = Path(self.shadow_folder).expanduser() if self.shadow_folder else self.default_shadow_folder()
        return shadow_path(folder, self.place(), stream)

    def _fetch_vectors(self, run: Run, prepared: Prepared, plans: Iterable[Plan]) -> None:
        """Fill `prepared.vectors` with what these plans need: stored vectors read back, new texts embedded once."""
        have = prepared.vectors
        reuse: dict[str, Stored] = {}
        new: dict[str, tuple[Draft, str]] = {}
        for plan in plans:
            for number, chunk in plan.reuse.items():
                reuse.setdefault(plan.draft.digests[number], chunk)
        if reuse:
            shadowed = [chunk.row for chunk in reuse.values() if isinstance(chunk.row, ShadowRow)]
            there = [chunk for chunk in reuse.values() if not isinstance(chunk.row, ShadowRow)]
            found: dict[Any, Vector] = self.store.vectors(there)
            if shadowed and run.shadow is not None:
                found.update(run.shadow.vectors(shadowed))
            have.update({digest: found[chunk.row] for digest, chunk in reuse.items() if chunk.row in found})
        for plan in plans:
            gone = [n for n in plan.reuse if plan.draft.digests[n] not in have]
            for number in gone:
                del plan.reuse[number]
            plan.embed.extend(gone)
            for number in plan.embed:
                digest = plan.draft.digests[number]
                if digest not in have:
                    new[digest] = (plan.draft, plan.draft.texts[number])
        if new:
            texts = [text for _, text in new.values()]
            vectors = self.embedding.embed_records([draft.record for draft, _ in new.values()], texts)
            have.update(zip(new, vectors, strict=True))
            prepared.embedded += len(new)
            if not run.reads_records:
                prepared.tokens += sum(map(run.splitter.tokens, texts))

    def _replace(self, run: Run, prepared: Prepared) -> Receipt:
        """Write into the store: first the new chunks, then the removal of what they replace."""
        outdated = run.recent.since(prepared.since)
        if prepared.tried or outdated is None:
            outdated = frozenset(plan.draft.key for plan in prepared.plans)
        if outdated:
            self._compare_again(run, prepared, outdated)
        chunks = chunks_of(prepared.plans, prepared.vectors, self.omit_raw_text)
        stale = [chunk for plan in prepared.plans for chunk in plan.stale]
        prepared.tried = True
        try:
            cut = self.store.upsert(chunks) if chunks else 0
            if stale:
                self.store.delete(stale)
        finally:
            run.note([plan.draft.key for plan in prepared.plans if not plan.unchanged])
        return self._receipt(run, prepared, chunks, len(stale), cut)

    def _compare_again(self, run: Run, prepared: Prepared, keys: frozenset[str]) -> None:
        """Records of this batch were written after it was compared: compare them with what is stored now."""
        drafts = [p.draft for p in prepared.plans if p.draft.key in keys or p.draft.document.former_key in keys]
        if not drafts:
            return
        stored = self._stored(drafts)
        replaces = self.store.replaces
        fresh = {d.key: compare(d, stored.get(d.key, ()), replaces) for d in drafts}
        prepared.plans = [fresh.get(plan.draft.key, plan) for plan in prepared.plans]
        self._fetch_vectors(run, prepared, list(fresh.values()))

    def _collect(self, run: Run, prepared: Prepared) -> Receipt:
        """Write into the shadow: what differs from the old generation, and which records are in the new one."""
        shadow = run.shadow
        assert shadow is not None
        keys = [plan.draft.key for plan in prepared.plans]
        twice = shadow.seen(keys)
        if twice:
            run.countable = run.countable and prepared.tried
            waiting = shadow.stored(list(twice))
            again = {
                plan.draft.key: compare(
                    plan.draft, overlay(prepared.stored.get(plan.draft.key, ()), waiting.get(plan.draft.key, ())), True
                )
                for plan in prepared.plans
                if plan.draft.key in twice
            }
            prepared.plans = [again.get(plan.draft.key, plan) for plan in prepared.plans]
            self._fetch_vectors(run, prepared, list(again.values()))
        prepared.tried = True
        chunks = chunks_of(prepared.plans, prepared.vectors, self.omit_raw_text)
        shadow.add(chunks, [(plan.draft.key, len(plan.draft.texts)) for plan in prepared.plans])
        return self._receipt(run, prepared, chunks, sum(len(plan.stale) for plan in prepared.plans))

    def _receipt(self, run: Run, prepared: Prepared, chunks: Sequence[Chunk], deleted: int, cut: int = 0) -> Receipt:
        empty = sum(1 for plan in prepared.plans if not plan.draft.texts)
        if empty or prepared.superseded:
            run.countable = False
        unchanged = sum(plan.unchanged for plan in prepared.plans)
        total = sum(len(plan.draft.texts) for plan in prepared.plans)
        bill = Bill(
            self.embedding.usd_per_million_tokens,
            embedded=prepared.embedded,
            reused=total - sum(len(plan.embed) for plan in prepared.plans),
            written=len(chunks),
            deleted=deleted,
            tokens=prepared.tokens,
        )
        return Receipt(
            written=len(prepared.plans) - unchanged + prepared.superseded,
            unchanged=unchanged,
            rejected=prepared.rejected,
            figures=bill.figures() | ({"values_cut": cut} if cut else {}),
        )


def chunks_of(plans: Iterable[Plan], vectors: Mapping[str, Vector], omit_text: bool = False) -> list[Chunk]:
    """The chunks that these plans write, with their texts or without."""
    chunks = []
    for plan in plans:
        draft = plan.draft
        for number in sorted([*plan.embed, *plan.reuse]):
            digest = draft.digests[number]
            chunks.append(
                Chunk(
                    draft.key,
                    number,
                    draft.stream,
                    draft.document.record_id,
                    "" if omit_text else draft.texts[number],
                    vectors[digest],
                    digest,
                    draft.metadata_digest,
                    draft.document.metadata,
                    draft.namespace,
                )
            )
    return chunks


def nbytes_of(plan: Plan, dimension: int) -> int:
    """About what the chunks of a record take in a store."""
    draft = plan.draft
    metadata = len(dumps(draft.document.metadata))
    return sum(4 * dimension + len(text.encode()) + metadata for text in draft.texts)


def writable(folder: Path) -> bool:
    """Whether this folder is there, or could be made, and takes files."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return there.is_dir() and os.access(there, os.W_OK)
