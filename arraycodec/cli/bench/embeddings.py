"""What a loss in the weights does to a model: sentences through a BERT encoder, in NumPy, and how far they move.

For checkpoints of sentence-transformers such as all-MiniLM-L6-v2, with their config.json and tokenizer.json beside
them.  The tokenizer is that of the package tokenizers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: Words of many kinds; some sentences say nearly the same.
SENTENCES = (
    "The cat sleeps on the warm windowsill.", "A cat is asleep by the window.", "Stock prices fell sharply on Tuesday.",
    "Shares dropped after the report.", "How do I reset my password?", "I cannot log in to my account.",
    "The recipe needs two eggs and a cup of flour.", "Mix the flour with two eggs.", "Light travels faster than sound.",
    "The speed of sound is lower than that of light.", "She plays the violin in an orchestra.",
    "He repairs old bicycles in his garage.", "Rain is expected along the coast tomorrow.",
    "Tomorrow will be wet near the sea.", "The function returns a list of integers.",
    "An array of whole numbers is the result.", "Vaccines reduce the risk of severe illness.",
    "The train to Vienna leaves at noon.", "Is there a train to Vienna around 12 o'clock?",
    "Quantum computers use qubits.", "The museum is closed on Mondays.", "You cannot visit the museum on a Monday.",
    "Deep learning models have millions of parameters.", "42", "antidisestablishmentarianism, 1865 & zymurgy!",
)  # fmt: skip


class Encoder:
    """A BERT encoder with mean pooling.

    Parameters
    ----------
    path : Path
        Its weights, of which only the folder is looked at here.

    Raises
    ------
    ImportError
        If the package tokenizers is not installed.
    """

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        config = json.loads((path.parent / "config.json").read_text())
        self._layers, self._heads = config["num_hidden_layers"], config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        tokenizer = Tokenizer.from_file(str(path.parent / "tokenizer.json"))
        tokenizer.no_padding()
        self._tokens = [encoded.ids for encoded in tokenizer.encode_batch(list(SENTENCES))]

    @staticmethod
    def fits(path: Path, names: Any) -> bool:
        """Whether a checkpoint is one, with what is needed beside it."""
        beside = all((path.parent / name).is_file() for name in ("config.json", "tokenizer.json"))
        return beside and "embeddings.word_embeddings.weight" in names

    def embeddings(self, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        """Unit vectors of all sentences, float64, by weights of float32."""
        vectors = np.array([self._states(weights, ids).mean(0) for ids in self._tokens], "f8")
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _states(self, weights: Mapping[str, np.ndarray], ids: list[int]) -> np.ndarray:
        words, places, kinds = (
            weights[f"embeddings.{of}_embeddings.weight"] for of in ("word", "position", "token_type")
        )
        x = self._norm(weights, "embeddings.LayerNorm", words[ids] + places[: len(ids)] + kinds[0])
        for i in range(self._layers):
            layer = f"encoder.layer.{i}"
            q, k, v = (
                self._split(_linear(weights, f"{layer}.attention.self.{part}", x)) for part in ("query", "key", "value")
            )
            scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), -1)
            x = self._norm(
                weights, f"{layer}.attention.output.LayerNorm",
                x + _linear(weights, f"{layer}.attention.output.dense", mixed),
            )  # fmt: skip
            inner = _gelu(_linear(weights, f"{layer}.intermediate.dense", x))
            x = self._norm(weights, f"{layer}.output.LayerNorm", x + _linear(weights, f"{layer}.output.dense", inner))
        return x

    def _split(self, x: np.ndarray) -> np.ndarray:
        """Heads first."""
        return x.reshape(len(x), self._heads, -1).swapaxes(0, 1)

    def _norm(self, weights: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + self._epsilon) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _linear(weights: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    erf = np.frompyfunc(math.erf, 1, 1)
    return (0.5 * x * (1 + erf(x / math.sqrt(2)).astype("f4"))).astype("f4")


def moved(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """How far embeddings have moved: cosines to what they were, and the largest change of a similarity of two."""
    cosines = (before * after).sum(1)
    return {
        "cosine, least": float(cosines.min()), "cosine, mean": float(cosines.mean()),
        "similarity of two, largest change": float(np.abs(before @ before.T - after @ after.T).max()),
    }  # fmt: skip
