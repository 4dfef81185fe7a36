"""What all embedders behind HTTP share: full batches, several requests in flight, one budget, retries, cancelling."""

from __future__ import annotations

import logging
import re
import threading
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, PrivateAttr

from kitestring.config import option
from kitestring.errors import Cancelled, ConfigError, TransientError
from kitestring.vector.allowance import Allowance
from kitestring.vector.embedder import Embedder
from kitestring.vector.encoding import Encoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.http import Response, Session

log = logging.getLogger("kitestring.vector")

LONGEST_TOKEN = 128
"""Characters; cl100k_base has no longer one."""

TOO_MANY = re.compile(r"batch|too many inputs|number of inputs|maximum .{0,30}(inputs|array)|array .{0,20}length", re.I)
"""How servers say that a request holds too many texts (text-embeddings-inference, DashScope and others, with 400)."""


class Remote(Embedder):
    """An embedder behind an HTTP API. A subclass says how a request looks and what its answer holds."""

    model_config = ConfigDict(protected_namespaces=())

    requests_per_minute: int | None = option(
        None,
        ge=1,
        title="Requests per minute",
        description="The account's limit. Without it requests go out freely and wait when the server says so.",
        order=20,
    )
    tokens_per_minute: int | None = option(
        None, ge=1, title="Tokens per minute", description="The account's limit.", order=21
    )
    concurrency: int = option(
        4, ge=1, le=64, title="Requests in flight", description="How many requests run at the same time.", order=22,
    )  # fmt: skip

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _stopped: Future[None] = PrivateAttr(default_factory=Future)
    _most: int | None = PrivateAttr(default=None)

    @abstractmethod
    def request(self, texts: Sequence[str], query: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Address, headers and JSON body of the request for these texts."""

    @abstractmethod
    def vectors(self, body: bytes) -> list[NDArray[np.float32]]:
        """The vectors in an answer, in the order of the texts. `KeyError` or the like where it has another form."""

    @abstractmethod
    def secrets(self) -> list[str]:
        """What no log may show."""

    @property
    def max_inputs(self) -> int:
        """The most texts in a request."""
        return 2048

    @property
    def max_request_tokens(self) -> int | None:
        """The most tokens in a request, None where there is no such limit."""
        return None

    @cached_property
    def _session(self) -> Session:
        from kitestring.http import Budget, Session
        from kitestring.vector.patience import Patience

        budgets = [Budget(self.requests_per_minute, 60.0)] if self.requests_per_minute else []
        return Session(
            policy=Patience(), budgets=budgets, timeout_s=120.0, pool_size=self.concurrency, secrets=self.secrets()
        )

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.concurrency, thread_name_prefix="embed")

    @cached_property
    def _allowance(self) -> Allowance | None:
        return Allowance(self.tokens_per_minute) if self.tokens_per_minute else None

    def _ready(self) -> None:
        """Make what the threads share, once."""
        with self._lock:
            _ = self._session, self._threads, self._allowance

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embed(texts, query=False)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._embed([text], query=True)[0]
        return vector

    def _embed(self, texts: Sequence[str], query: bool) -> NDArray[np.float32]:
        import numpy as np

        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return out
        self._ready()
        sizes, texts = self._measured(texts)
        futures = {}
        try:
            for begin, end in self._batches(sizes):
                job = self._threads.submit(self._fetch, texts[begin:end], sizes[begin:end], query)
                futures[job] = (begin, end)
        except RuntimeError as error:  # the threads were shut down in the meantime
            raise self._cancelled() from error
        pending: set[Future[Any]] = set(futures)
        try:
            while pending:
                done, waiting = wait({*pending, self._stopped}, return_when=FIRST_COMPLETED)
                if self._stopped in done:
                    raise self._cancelled()
                pending = waiting - {self._stopped}
                for job in done:
                    begin, end = futures[job]
                    out[begin:end] = job.result()
        except BaseException:
            for job in pending:
                job.cancel()
            raise
        return out

    def _measured(self, texts: Sequence[str]) -> tuple[list[int], list[str]]:
        """Tokens of each text (its bytes, an upper bound, where nothing depends on the count); too long texts cut."""
        encoding = self.tokens()
        sizes, out, cut, lost = [], [], 0, 0
        limit = self.max_request_tokens
        lengths = [len(text.encode("utf-8", "replace")) for text in texts]
        exactly = self.tokens_per_minute is not None or (limit is not None and sum(lengths) > limit)
        for text, size in zip(texts, lengths, strict=True):
            if exactly or size > self.max_tokens:
                size = encoding.count(text)
            if size > self.max_tokens:
                cut, lost = cut + 1, lost + size - self.max_tokens
                text, size = shortened(text, encoding, self.max_tokens)
            sizes.append(size)
            # A chunk is never empty; a question may be, and the APIs refuse an empty text.
            out.append(text or " ")
        if cut:
            log.warning(
                "texts were longer than the model takes and were cut",
                extra={"texts": cut, "tokens_lost": lost, "max_tokens": self.max_tokens, "model": self.model_name},
            )
        return sizes, out

    def _batches(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Runs of texts that fill a request."""
        most, limit = self._most or self.max_inputs, self.max_request_tokens
        runs, begin, total = [], 0, 0
        for number, size in enumerate(sizes):
            if number > begin and (number - begin >= most or (limit is not None and total + size > limit)):
                runs.append((begin, number))
                begin, total = number, 0
            total += size
        runs.append((begin, len(sizes)))
        return runs

    def _fetch(self, texts: Sequence[str], sizes: Sequence[int], query: bool) -> NDArray[np.float32]:
        """The vectors of one request's texts, in several requests if the server takes fewer at a time."""
        import numpy as np

        if self._most is not None and len(texts) > self._most:
            return self._halves(texts, sizes, query)
        if self._allowance is not None:
            self._pause(self._allowance.reserve(sum(sizes)))
        found: list[NDArray[np.float32]] = []

        def read(response: Response) -> None:
            found[:] = self._read(response, len(texts))

        address, headers, body = self.request(texts, query)
        try:
            self._session.request("POST", address, headers=headers, json=body, verify=read)
        except ConfigError as error:
            status = error.fields.get("status")
            if len(texts) > 1 and (status == 413 or (status in (400, 422) and TOO_MANY.search(error.message))):
                self._most = min(self._most or len(texts), (len(texts) + 1) // 2)
                log.info("the server takes fewer texts at a time", extra={"texts": len(texts), "now": self._most})
                return self._halves(texts, sizes, query)
            raise
        wrong = next((len(vector) for vector in found if len(vector) != self.dimension), None)
        if wrong is not None:
            raise ConfigError(
                f"{self.model_name} answers with {wrong} dimensions, the configuration says {self.dimension}",
                hint=f"Set the embedder's dimensions to {wrong}, or choose a model that makes {self.dimension}.",
                dimension=wrong,
            )
        return np.stack(found)

    def _halves(self, texts: Sequence[str], sizes: Sequence[int], query: bool) -> NDArray[np.float32]:
        import numpy as np

        middle = len(texts) // 2
        halves = [(texts[:middle], sizes[:middle]), (texts[middle:], sizes[middle:])]
        return np.concatenate([self._fetch(part, counts, query) for part, counts in halves])

    def _read(self, response: Response, count: int) -> list[NDArray[np.float32]]:
        """The vectors of an answer; an answer that is none is worth another attempt."""
        import numpy as np

        try:
            found = self.vectors(response.body)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise TransientError(
                f"{response.shown} answered with something other than vectors: {response.body[:120]!r}",
                hint="Check the address: the embedder talks to another kind of server.",
            ) from error
        if len(found) != count:
            raise TransientError(f"{response.shown} answered with {len(found)} vectors for {count} texts")
        if not all(np.isfinite(vector).all() for vector in found):
            raise TransientError(f"{response.shown} answered with a vector that holds a number that is not finite")
        return found

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            log.info("waiting for the tokens-per-minute budget", extra={"seconds": round(seconds, 3)})
            wait([self._stopped], timeout=seconds)
        if self._stopped.done():
            raise self._cancelled()

    def _cancelled(self) -> Cancelled:
        return Cancelled(f"{self.model_name}: the embedder was closed")

    def close(self) -> None:
        """Callers of `embed` get `Cancelled` at once; a request under way ends by itself, its answer is dropped."""
        with self._lock:
            if not self._stopped.done():
                self._stopped.set_result(None)
            if "_threads" in self.__dict__:
                self._threads.shutdown(wait=False, cancel_futures=True)
            if "_session" in self.__dict__:
                self._session.close()


def shortened(text: str, encoding: Encoding, most: int) -> tuple[str, int]:
    """The beginning of a text that has at most `most` tokens, and how many it has."""
    text, keep, size = text[: most * LONGEST_TOKEN], most, most + 1
    while size > most:
        starts = encoding.starts(text)
        if keep < len(starts):
            text = text[: int(starts[keep])]
        size, keep = encoding.count(text), keep - 1
    return text, size
