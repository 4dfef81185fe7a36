"""Chunking beside the bare tokenizer: MB per CPU second of `Splitter` and of tiktoken on the same texts, in one run.

    python benchmarks/chunking.py [--megabytes 8] [--repeat 3]

Prints the best of the repeats. `tokenizer` encodes every text once and does nothing else: no splitter that measures in
tokens can be faster on texts that need cutting. Where semantic-text-splitter or langchain-text-splitters are installed,
they run on the same texts.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence

from kitestring.vector.embedders.fake import Fake
from kitestring.vector.html import html_to_text
from kitestring.vector.processing import Processing
from kitestring.vector.split.splitter import Splitter
from kitestring.vector.tokenizer import cl100k

WORDS = [
    "the",
    "support",
    "customer",
    "printer",
    "network",
    "password",
    "account",
    "invoice",
    "please",
    "thanks",
    "screen",
    "error",
    "restart",
    "update",
    "version",
    "browser",
    "reset",
    "email",
    "attachment",
    "delivery",
    "shipment",
    "warranty",
    "organisation",
    "configuration",
    "unfortunately",
    "immediately",
    "I",
    "we",
    "you",
    "it",
    "is",
    "was",
    "has",
    "not",
    "and",
    "or",
    "but",
    "with",
    "for",
    "from",
    "to",
    "of",
    "on",
    "in",
    "at",
    "by",
    "after",
    "before",
    "2024",
    "15",
    "404",
]


def text(random_: random.Random, size: int) -> str:
    """Prose of about `size` bytes: sentences, lines, paragraphs."""
    parts: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(random_.choices(WORDS, k=random_.randint(5, 18))).capitalize()
        end = random_.choices([". ", ".\n", ".\n\n", "? "], weights=[70, 10, 12, 8])[0]
        parts.append(sentence + end)
        length += len(parts[-1])
    return "".join(parts)


def corpus(total: int, size: int) -> list[str]:
    random_ = random.Random(size)
    return [text(random_, size) for _ in range(max(1, total // size))]


def rate(work: Callable[[], int], nbytes: int, repeat: int) -> tuple[float, float]:
    """Best MB and results per CPU second."""
    best, results = float("inf"), 0
    for _ in range(repeat):
        began = time.process_time()
        results = work()
        best = min(best, time.process_time() - began)
    return nbytes / best / 1e6, results / best


def others(size: int) -> list[tuple[str, Callable[[str], Sequence[str]]]]:
    splitters: list[tuple[str, Callable[[str], Sequence[str]]]] = []
    try:
        from semantic_text_splitter import TextSplitter

        splitters.append(
            ("semantic-text-splitter", TextSplitter.from_tiktoken_model("text-embedding-3-small", size).chunks)
        )
    except ImportError:
        pass
    try:
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        splitter = RecursiveCharacterTextSplitter(
            chunk_size=size, chunk_overlap=0, length_function=cl100k().count, separators=["\n\n", "\n", " ", ""]
        )
        splitters.append(("langchain (our table)", splitter.split_text))
    except ImportError:
        pass
    return splitters


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--megabytes", type=float, default=8)
    arguments.add_argument("--repeat", type=int, default=3)
    chosen = arguments.parse_args()
    cl100k().count("warm")
    print(f"{'texts':>14} {'chunk':>6}  {'what':24} {'MB/cpu-s':>9} {'chunks/cpu-s':>13}  of the tokenizer")
    for size in (200, 2_000, 20_000, 1_000_000):
        texts = corpus(int(chosen.megabytes * 1e6), size)
        nbytes = sum(len(text.encode()) for text in texts)
        bare, _ = rate(lambda t=texts: sum(cl100k().count(text) for text in t), nbytes, chosen.repeat)
        print(f"{len(texts):>6} x {size:>5} {'':>6}  {'tokenizer':24} {bare:9.1f} {'':>13}")
        for tokens, overlap in ((250, 0), (1000, 0), (1000, 100)):
            splitter = Splitter(Processing.load({"chunk_size": tokens, "chunk_overlap": overlap}), Fake())
            rows = [(f"kitestring, overlap {overlap}", splitter.split)]
            if overlap == 0:
                rows += others(tokens)
            for name, split in rows:
                speed, chunks = rate(lambda t=texts, s=split: sum(len(s(text)) for text in t), nbytes, chosen.repeat)
                print(f"{'':>14} {tokens:>6}  {name:24} {speed:9.1f} {chunks:13,.0f}  {speed / bare:.2f}")
    pages = [f"<h1>T</h1><p>{text.replace(chr(10) * 2, '</p><p>')}</p>" for text in corpus(2_000_000, 4_000)]
    speed, _ = rate(lambda: sum(bool(html_to_text(page)) for page in pages), sum(map(len, pages)), chosen.repeat)
    print(f"{len(pages):>6} x {4000:>5} {'':>6}  {'HTML to text':24} {speed:9.1f}")


if __name__ == "__main__":
    main()
