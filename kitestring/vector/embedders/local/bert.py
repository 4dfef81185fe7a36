"""A BERT model from a directory of sentence-transformers, run by onnxruntime, without torch and without a download."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitestring import activity
from kitestring.errors import ConfigError
from kitestring.vector.embedders.local.onnx import MICROSOFT, Graph
from kitestring.vector.tokenizer import WordPiece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_TEXTS, MOST_TOKENS = 32, 2048
"""The most in one run, sorted by length: on two cores 8 to 32 texts make no difference; above, padding and caches cost.
A run takes under a second, which is how long `close` waits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions and settings of a model, from its files."""

    layers: int
    width: int
    heads: int
    epsilon: float
    max_tokens: int
    pooling: str
    normalize: bool

    @classmethod
    def read(cls, folder: Path) -> Shape:
        config = read_json(folder, "config.json")
        if config.get("model_type") != "bert":
            raise ConfigError(
                f"the model in {folder} is of type {config.get('model_type')}; local models must be of type bert",
                hint="Choose a BERT model (all-MiniLM-L6-v2, …), or serve this one and use openai_compatible.",
                path=str(folder),
            )
        if (
            config.get("hidden_act", "gelu") != "gelu"
            or config.get("position_embedding_type", "absolute") != "absolute"
        ):
            raise ConfigError(
                f"the model in {folder} uses {config.get('hidden_act')} and {config.get('position_embedding_type')}"
                " positions; local models must use gelu and absolute positions",
                hint="Choose another model, or serve this one and use openai_compatible.",
                path=str(folder),
            )
        modules = read_json(folder, "modules.json") if (folder / "modules.json").is_file() else []
        kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
        pooling = "mean"
        for module, kind in zip(modules, kinds, strict=True):
            if kind == "Pooling":
                pooling = pooling_of(folder, read_json(folder / str(module["path"]), "config.json"))
            elif kind not in ("Transformer", "Normalize"):
                raise ConfigError(
                    f"the model in {folder} has a {kind} module, which local models cannot have",
                    hint="Choose another model, or serve this one and use openai_compatible.",
                    path=str(folder),
                )
        sentence = (folder / "sentence_bert_config.json").is_file() and read_json(folder, "sentence_bert_config.json")
        limit = (sentence or {}).get("max_seq_length") or config["max_position_embeddings"]
        return cls(
            layers=config["num_hidden_layers"],
            width=config["hidden_size"],
            heads=config["num_attention_heads"],
            epsilon=config.get("layer_norm_eps", 1e-12),
            max_tokens=min(limit, config["max_position_embeddings"]) - 2,  # the marks at both ends of a text
            pooling=pooling,
            normalize="Normalize" in kinds or not modules,
        )


def pooling_of(folder: Path, config: dict[str, Any]) -> str:
    modes = [
        name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on
    ]
    if modes == ["mean_tokens"]:
        return "mean"
    if modes == ["cls_token"]:
        return "cls"
    raise ConfigError(
        f"the model in {folder} pools by {', '.join(modes) or 'nothing'}; local models pool by mean or cls",
        hint="Choose another model, or serve this one and use openai_compatible.",
        path=str(folder),
    )


@lru_cache(maxsize=2)
def load(folder: Path, quantized: bool) -> Bert:
    """The model in this directory; cached, since a process often needs it more than once (0.5 s, 90 MB)."""
    return Bert(folder, quantized)


class Bert:
    """The loaded model. `embed` is thread-safe; one run at a time uses all cores."""

    def __init__(self, folder: Path, quantized: bool = False) -> None:
        self.shape = Shape.read(folder)
        self.tokenizer = load_tokenizer(folder)
        self.encoding = WordPiece(f"wordpiece:{folder.name}", self.tokenizer)
        self._session = load_session(build(read_weights(folder / "model.safetensors"), self.shape, quantized))
        self._run_lock = threading.Lock()

    def embed(self, texts: Sequence[str], stop: Callable[[], None]) -> tuple[NDArray[np.float32], int]:
        """Vectors (number of texts, width), and how many texts were cut because they were too long.

        `stop` is called before each run and may raise.
        """
        import numpy as np

        vectors = np.empty((len(texts), self.shape.width), dtype=np.float32)
        encoded = self.tokenizer.encode_batch_fast([text.encode("utf-8", "replace").decode() for text in texts])
        limit = self.shape.max_tokens + 2
        ids = [
            encoded_text.ids
            if len(encoded_text.ids) <= limit
            else [*encoded_text.ids[: limit - 1], encoded_text.ids[-1]]
            for encoded_text in encoded
        ]
        too_long = sum(len(encoded_text.ids) > limit for encoded_text in encoded)
        order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
        while order:
            stop()
            longest = len(ids[order[-1]])
            count = max(1, min(MOST_TEXTS, MOST_TOKENS // longest))
            order, batch = order[:-count], order[-count:]
            tokens = np.zeros((len(batch), longest), dtype=np.int64)
            mask = np.zeros((len(batch), longest), dtype=np.int32)
            for row, number in enumerate(batch):
                tokens[row, : len(ids[number])] = ids[number]
                mask[row, : len(ids[number])] = 1
            with self._run_lock:
                outputs = self._session.run(
                    None, {"tokens": tokens, "mask": mask, "positions": np.arange(longest, dtype=np.int64)}
                )
            vectors[batch] = outputs[0]
            activity.embedded(len(batch))
        return vectors, too_long


def build(weights: dict[str, NDArray[np.float32]], shape: Shape, quantized: bool = False) -> bytes:
    """The graph: inputs tokens and mask (batch, length) and positions (length); output (batch, width).

    `quantized`: the feed-forward layers, two thirds of the work, in integers with a scale per column (cosine 0.994 to
    float32 on average, and 1.5 times the speed; the attention as well would cost another 0.04). Weights use seven bits:
    processors without VNNI add two products of eight bits in sixteen, and overflow.
    """
    import numpy as np

    graph = Graph()
    tokens = graph.input("tokens", "int64", ["batch", "length"])
    mask = graph.input("mask", "int32", ["batch", "length"])
    positions = graph.input("positions", "int64", ["length"])

    def norm(value: str, name: str) -> str:
        gain, bias = (graph.constant(weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        return graph.add("LayerNormalization", value, gain, bias, axis=-1, epsilon=shape.epsilon)

    def linear(value: str, name: str, small: bool = False) -> str:
        weight = weights[f"{name}.weight"].T
        if small:
            scale = np.abs(weight).max(axis=0) / 63
            whole = np.round(weight / scale).astype(np.int8)
            scales, zeros = graph.constant(scale), graph.constant(np.zeros(len(scale), dtype=np.int8))
            product = graph.add("DynamicQuantizeMatMul", value, graph.constant(whole), scales, zeros, domain=MICROSOFT)
        else:
            product = graph.add("MatMul", value, graph.constant(weight))
        return graph.add("Add", product, graph.constant(weights[f"{name}.bias"]))

    # All tokens of a single text are of type 0, so that its row is part of every position.
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    word_embeddings = graph.add("Gather", graph.constant(weights["embeddings.word_embeddings.weight"]), tokens)
    state = graph.add("Add", word_embeddings, graph.add("Gather", graph.constant(places), positions))
    state = norm(state, "embeddings")
    for layer in range(shape.layers):
        name = f"encoder.layer.{layer}"
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = graph.constant(np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1))
        bias = graph.constant(np.concatenate([weights[f"{part}.bias"] for part in parts]))
        attention = graph.add("Attention", state, weight, bias, mask, domain=MICROSOFT, num_heads=shape.heads)
        state = norm(
            graph.add("Add", linear(attention, f"{name}.attention.output.dense"), state), f"{name}.attention.output"
        )
        wide = graph.add("Gelu", linear(state, f"{name}.intermediate.dense", quantized), domain=MICROSOFT)
        state = norm(graph.add("Add", linear(wide, f"{name}.output.dense", quantized), state), f"{name}.output")
    if shape.pooling == "cls":
        pooled = graph.add("Gather", state, graph.constant(np.asarray(0, dtype=np.int64)), axis=1)
    else:
        visible = graph.add("Cast", mask, to=1)
        column = graph.add("Unsqueeze", visible, graph.constant(np.asarray([2], dtype=np.int64)))
        axis = graph.constant(np.asarray([1], dtype=np.int64))
        total = graph.add("ReduceSum", graph.add("Mul", state, column), axis, keepdims=0)
        pooled = graph.add("Div", total, graph.add("ReduceSum", visible, axis, keepdims=1))
    if shape.normalize:
        pooled = graph.add("LpNormalization", pooled, axis=-1, p=2)
    graph.output(pooled, "float32", ["batch", shape.width])
    return graph.model()


def load_session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Without spinning, idle workers leave the cores to the threads that read and write.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def load_tokenizer(folder: Path) -> Any:
    import tokenizers

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ConfigError(
            f"there is no tokenizer.json in {folder}", hint="Save the model with a fast tokenizer.", path=str(path)
        )
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    # The file of all-MiniLM-L6-v2 cuts and pads at 128 tokens; the model takes 256.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a safetensors file as float32, without a leading `bert.` in their names.

    Format: 8 bytes length of the header, the header as JSON, the data (https://huggingface.co/docs/safetensors).
    """
    import numpy as np

    if not path.is_file():
        raise ConfigError(
            f"there is no {path.name} in {path.parent}", hint="Save the model as safetensors.", path=str(path)
        )
    data = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8 : 8 + length].tobytes())
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in ("F32", "F16"):
            continue
        begin, end = (8 + length + place for place in entry["data_offsets"])
        kind = np.float32 if entry["dtype"] == "F32" else np.float16
        value = np.frombuffer(data[begin:end], dtype=kind).reshape(entry["shape"])
        weights[name.removeprefix("bert.")] = value.astype(np.float32, copy=False)
    return weights


def read_json(folder: Path, name: str) -> Any:
    path = folder / name
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {name} in {folder}, so that it is not a model directory",
            hint="Give the directory of a sentence-transformers model.",
            path=str(path),
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON", hint="Save the model again.", path=str(path)) from error


def fingerprint(folder: Path) -> str:
    """16 hex characters of the model's weights and configuration."""
    state = hashlib.blake2b(digest_size=8)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                while block := file.read(1 << 20):
                    state.update(block)
    return state.hexdigest()
