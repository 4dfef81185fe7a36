"""The base of embedders behind an HTTP API: full requests, several at a time, rate limits, retries, cancelling."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, PrivateAttr

from kitestring import activity
from kitestring.config import option
from kitestring.errors import Cancelled, ConfigError, TransientError
from kitestring.facts import Facts
from kitestring.json_codec import without_surrogates
from kitestring.vector.embedder import Embedder
from kitestring.vector.tokenizer import Encoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.http import Budget, Policy, Response, Session, Share

log = logging.getLogger("kitestring.vector")

LONGEST_TOKEN = 128
"""Characters; cl100k_base has no longer token."""

TOO_MANY = re.compile(
    r"batch|too many inputs|number of inputs|maximum .{0,30}(inputs|array)|array .{0,20}length", re.IGNORECASE
)
TOO_LONG = re.compile(r"\btokens\b|context length|too long", re.IGNORECASE)
SHORT = 64
"""Characters: no server refuses a shorter text for its length, whatever its message says."""


def refusal_of(error: ConfigError) -> Literal["many", "long"] | None:
    """Whether a server refused a request for its number of texts or for their length, by its message.

    text-embeddings-inference: 413 "batch size 64 > maximum allowed batch size 32" and "`inputs` must have less than
    512 tokens"; vLLM and OpenAI: 400 "maximum context length is 8192 tokens"; DashScope: 400 "batch size is invalid".
    """
    status = error.fields.get("status")
    if status not in (400, 413, 422):
        return None
    if TOO_MANY.search(error.message):
        return "many"
    if TOO_LONG.search(error.message):
        return "long"
    return "many" if status == 413 else None


class Remote(Embedder):
    """An embedder behind an HTTP API. A subclass builds requests and reads responses."""

    facts: ClassVar[Facts] = Facts(network="python", programs=False)

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
    _pool: RequestPool | None = PrivateAttr(default=None)
    _most_texts: int | None = PrivateAttr(default=None)

    @abstractmethod
    def request(self, texts: Sequence[str], query: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Address, headers and JSON body of the request for these texts."""

    @abstractmethod
    def vectors(self, body: bytes) -> list[NDArray[np.float32]]:
        """The vectors in a response, in the order of the texts. `KeyError` or the like if it has another form."""

    @abstractmethod
    def secrets(self) -> list[str]:
        """The values that no log may show."""

    @property
    def max_inputs(self) -> int:
        """The most texts in a request."""
        return 2048

    @property
    def max_request_tokens(self) -> int | None:
        """The most tokens in a request, None without such a limit."""
        return None

    @cached_property
    def _budgets(self) -> tuple[list[Budget], Budget | None]:
        """They outlive `close`, since the server's count does too."""
        from kitestring.http import Budget

        calls = [Budget(self.requests_per_minute, 60.0)] if self.requests_per_minute else []
        return calls, Budget(self.tokens_per_minute, 60.0) if self.tokens_per_minute else None

    def share(self, share: Share) -> None:
        calls, tokens = self._budgets
        account = hashlib.sha256("\n".join(sorted(self.secrets())).encode()).hexdigest()[:12]
        name = f"{type(self).__name__.lower()}:{account}:{self.model_name}"
        for budget in calls:
            budget.shared = share(f"{name}:calls", budget.calls, budget.per_s)
        if tokens is not None:
            tokens.shared = share(f"{name}:tokens", tokens.calls, tokens.per_s)

    def _connected_pool(self) -> RequestPool:
        from kitestring.http import Session
        from kitestring.vector.embedders.embedding_retries import EmbeddingRetries

        with self._lock:
            if self._pool is None:
                calls, tokens = self._budgets
                session = Session(
                    policy=EmbeddingRetries(),
                    budgets=calls,
                    timeout_s=120.0,
                    pool_size=self.concurrency,
                    secrets=self.secrets(),
                )
                self._pool = RequestPool(
                    session, ThreadPoolExecutor(self.concurrency, "embed"), tokens, self.model_name
                )
            return self._pool

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._embed([text], query=True)[0]
        return vector

    def check(self) -> None:
        from kitestring.vector.embedders.embedding_retries import EmbeddingRetries

        self._embed(["test"], policy=EmbeddingRetries(attempts=2))

    def _embed(self, texts: Sequence[str], *, query: bool = False, policy: Policy | None = None) -> NDArray[np.float32]:
        import numpy as np

        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return out
        pool = self._connected_pool()
        sizes, texts = self._measure(texts)
        futures = {}
        for begin, end in self._request_spans(sizes):
            future = pool.submit(self._fetch, EmbeddingCall(pool, query, policy), texts[begin:end], sizes[begin:end])
            futures[future] = (begin, end)
        pending: set[Future[Any]] = set(futures)
        try:
            while pending:
                done, waiting = wait({*pending, pool.stopped}, return_when=FIRST_COMPLETED)
                if pool.stopped in done:
                    raise pool.cancelled()
                pending = waiting - {pool.stopped}
                for future in done:
                    begin, end = futures[future]
                    out[begin:end] = future.result()
                    activity.embedded(end - begin)
        except BaseException:
            for future in pending:
                future.cancel()
            raise
        return out

    def _measure(self, texts: Sequence[str]) -> tuple[list[int], list[str]]:
        """The tokens of each text (its bytes, an upper bound, if no limit needs the count), and the texts, long ones
        cut."""
        encoding = self.tokens()
        sizes, out, cut, lost = [], [], 0, 0
        limit = self.max_request_tokens
        texts = [without_surrogates(text) for text in texts]
        lengths = [len(text) if text.isascii() else len(text.encode()) for text in texts]
        exactly = self.tokens_per_minute is not None or (limit is not None and sum(lengths) > limit)
        for text, size in zip(texts, lengths, strict=True):
            if exactly or size > self.max_tokens:
                size = encoding.count(text)
            if size > self.max_tokens:
                cut, lost = cut + 1, lost + size - self.max_tokens
                text, size = truncate_to_tokens(text, encoding, self.max_tokens)
            sizes.append(size)
            # A chunk is never empty; a question may be, and the APIs refuse an empty text.
            out.append(text or " ")
        if cut:
            log.warning(
                "texts were longer than the model takes and were cut",
                extra={"texts": cut, "tokens_lost": lost, "max_tokens": self.max_tokens, "model": self.model_name},
            )
        return sizes, out

    def _request_spans(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """The spans of texts that make full requests."""
        most, limit = self._most_texts or self.max_inputs, self.max_request_tokens
        runs, begin, total = [], 0, 0
        for number, size in enumerate(sizes):
            if number > begin and (number - begin >= most or (limit is not None and total + size > limit)):
                runs.append((begin, number))
                begin, total = number, 0
            total += size
        runs.append((begin, len(sizes)))
        return runs

    def _fetch(self, call: EmbeddingCall, texts: Sequence[str], sizes: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of one request's texts, in several requests if the server takes fewer at a time."""
        import numpy as np

        if self._most_texts is not None and len(texts) > self._most_texts:
            return self._halves(call, texts, sizes)
        call.pool.spend(sum(sizes))
        vectors: list[NDArray[np.float32]] = []

        def read(response: Response) -> None:
            vectors[:] = self._read(response, len(texts))

        address, headers, body = self.request(texts, call.query)
        try:
            call.pool.session.request("POST", address, headers=headers, json=body, policy=call.policy, verify=read)
        except ConfigError as error:
            refusal = refusal_of(error)
            if refusal is None or (len(texts) == 1 and (refusal == "many" or len(texts[0]) < SHORT)):
                raise
        if not vectors:
            if len(texts) == 1:
                return self._fetch(call, [self._shorten(texts[0])], sizes)
            if refusal == "many":
                self._most_texts = min(self._most_texts or len(texts), (len(texts) + 1) // 2)
                log.info("the server takes fewer texts at a time", extra={"texts": len(texts), "now": self._most_texts})
            return self._halves(call, texts, sizes)
        wrong = next((len(vector) for vector in vectors if len(vector) != self.dimension), None)
        if wrong is not None:
            raise ConfigError(
                f"{self.model_name} answers with {wrong} dimensions, the configuration says {self.dimension}",
                hint=f"Set the embedder's dimensions to {wrong}, or choose a model that makes {self.dimension}.",
                dimension=wrong,
            )
        return np.stack(vectors)

    def _halves(self, call: EmbeddingCall, texts: Sequence[str], sizes: Sequence[int]) -> NDArray[np.float32]:
        import numpy as np

        middle = len(texts) // 2
        halves = [(texts[:middle], sizes[:middle]), (texts[middle:], sizes[middle:])]
        return np.concatenate([self._fetch(call, part, counts) for part, counts in halves])

    def _shorten(self, text: str) -> str:
        """The text a fifth shorter, since the server counts more tokens than we do."""
        beginning = text[: len(text) * 4 // 5]
        log.warning(
            "a text is longer than the model takes and was cut; set max_tokens lower",
            extra={"characters": len(text), "kept": len(beginning), "model": self.model_name},
        )
        return beginning

    def _read(self, response: Response, count: int) -> list[NDArray[np.float32]]:
        """The vectors of a response; `TransientError` if the response is broken and another attempt may help."""
        import numpy as np

        try:
            vectors = self.vectors(response.body)
        except ValueError as error:
            raise TransientError(
                f"{response.request_line} answered with something that is not JSON: {response.body[:120]!r}",
                hint="Check the address; if it is right, try again later.",
            ) from error
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ConfigError(
                f"{response.request_line} answered with JSON without vectors: {response.body[:120]!r}",
                hint="Check the address: another kind of server answers there.",
            ) from error
        if len(vectors) != count:
            raise TransientError(f"{response.request_line} answered with {len(vectors)} vectors for {count} texts")
        if not all(np.isfinite(vector).all() for vector in vectors):
            raise TransientError(
                f"{response.request_line} answered with a vector that holds a number that is not finite"
            )
        return vectors

    def close(self) -> None:
        """Callers of `embed` get `Cancelled` at once; the response of a request in progress is dropped.

        The next `embed` works.
        """
        with self._lock:
            line, self._pool = self._pool, None
        if line is not None:
            line.close()


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """The settings of all requests of one `embed`: connections, query or documents, retry policy."""

    pool: RequestPool
    query: bool
    policy: Policy | None


class RequestPool:
    """The connections and threads of an embedder from its first call to `close`."""

    def __init__(self, session: Session, threads: ThreadPoolExecutor, token_rate: Budget | None, name: str) -> None:
        self.session = session
        self.threads = threads
        self.token_rate = token_rate
        self.name = name
        self.stopped: Future[None] = Future()
        """Done once the embedder is closed: callers that wait for responses wait for this too."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        try:
            # In the context of the caller: a wait is then one of its stream.
            return self.threads.submit(copy_context().run, work, *arguments)
        except RuntimeError as error:  # closed in the meantime
            raise self.cancelled() from error

    def spend(self, tokens: int) -> None:
        """Wait until the token rate limit allows these tokens."""
        if self.token_rate is not None:
            seconds = self.token_rate.reserve(weight=tokens)
            if seconds > 0:
                log.info("waiting for the tokens-per-minute budget", extra={"seconds": round(seconds, 3)})
                wait([self.stopped], timeout=seconds)
        if self.stopped.done():
            raise self.cancelled()

    def cancelled(self) -> Cancelled:
        return Cancelled(f"{self.name}: the embedder was closed")

    def close(self) -> None:
        self.stopped.set_result(None)
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.session.close()


def truncate_to_tokens(text: str, encoding: Encoding, most: int) -> tuple[str, int]:
    """The beginning of a text that has at most `most` tokens, and how many it has."""
    text, keep, size = text[: most * LONGEST_TOKEN], most, most + 1
    while size > most:
        starts = encoding.starts(text)
        if keep < len(starts):
            text = text[: int(starts[keep])]
        size, keep = encoding.count(text), keep - 1
    return text, size
