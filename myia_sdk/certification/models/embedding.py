"""Embedding models: over the OpenAI protocol, or made by a factory of the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.certification.models.openai import create_client
from myia_sdk.certification.models.python import find_factory
from myia_sdk.errors import MalformedAnswerError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import openai

    from myia_sdk.certification.models.protocols import Model, Surroundings
    from myia_sdk.certification.request import JSON, ModelRef

#: Options of the reference that the checks read; a factory does not get them.
_OPTIONS_OF_CHECKS = frozenset({"dimensions", "prices", "unit_norm"})
#: Methods by which known libraries offer what we need, the first found is taken.
_METHODS = ("embed", "encode")


def load(reference: ModelRef, surroundings: Surroundings) -> Model:
    """Open an embedding model: an endpoint's, or a factory's."""
    if reference.kind == "openai-embedding":
        client = create_client(reference, surroundings)
        return EndpointEmbedding(client, str(reference.model))
    factory = find_factory(str(reference.factory), surroundings.plugins)
    options = {
        key: value
        for key, value in reference.options.items()
        if key not in _OPTIONS_OF_CHECKS
    }
    made: Any = factory(**options)
    return CallableEmbedding(_function_of(made, str(reference.factory)), made)


class EndpointEmbedding:
    """An embedding model behind an OpenAI-compatible endpoint.

    Parameters
    ----------
    client : openai.OpenAI
        Client with retries off.
    model : str
        Name by which the endpoint knows the model.
    """

    family = "embedding"

    def __init__(self, client: openai.OpenAI, model: str) -> None:
        self._client = client
        self._model = model
        self._resolved: dict[str, JSON] = {}

    def describe(self) -> dict[str, JSON]:
        """Say which model answered last, and its dimensions."""
        return {"requested_model": self._model, **self._resolved}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def embed(self, texts: Sequence[str], *, timeout: float = 60.0) -> np.ndarray:
        """Return one row per text, without retries; see `EmbeddingAdapter`."""
        answer: Any = self._client.embeddings.create(
            model=self._model,
            input=list(texts),
            encoding_format="float",
            timeout=timeout,
        )
        data = getattr(answer, "data", None)
        if not data:
            raise MalformedAnswerError(f"The answer has no data: {str(answer)[:120]}")
        rows = [row.embedding for row in sorted(data, key=lambda row: row.index)]
        vectors = _matrix(rows, len(texts))
        self._resolved |= {"model": answer.model, "dimensions": vectors.shape[1]}
        return vectors


class CallableEmbedding:
    """A function from texts to vectors, in this process.

    Parameters
    ----------
    function : callable
        Takes a list of texts and returns one row for each.
    made : object
        What the factory returned, for the description.
    """

    family = "embedding"

    def __init__(self, function: Callable[[list[str]], object], made: object) -> None:
        self._function = function
        self._name = getattr(made, "__qualname__", type(made).__qualname__)
        self._dimensions: int | None = None

    def describe(self) -> dict[str, JSON]:
        """Say what was loaded, and its dimensions once they are known."""
        return {"type": str(self._name), "dimensions": self._dimensions}

    def close(self) -> None:
        """Nothing to give back."""

    def embed(
        self,
        texts: Sequence[str],
        *,
        timeout: float = 60.0,  # noqa: ARG002 - a function cannot be stopped
    ) -> np.ndarray:
        """Return one row per text."""
        vectors = _matrix(self._function(list(texts)), len(texts))
        self._dimensions = int(vectors.shape[1])
        return vectors


def _function_of(made: Any, path: str) -> Callable[[list[str]], object]:
    for name in _METHODS:
        method = getattr(made, name, None)
        if callable(method):
            found: Callable[[list[str]], object] = method
            return found
    if callable(made):
        function: Callable[[list[str]], object] = made
        return function
    raise ModelRejectedError(
        f"The factory {path!r} returned a {type(made).__name__}, which is no embedding "
        f"model; return a function, or an object with {' or '.join(_METHODS)}."
    )


def _matrix(rows: object, count: int) -> np.ndarray:
    try:
        vectors = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise MalformedAnswerError(
            f"The vectors do not all have the same length: {exc}"
        ) from exc
    if vectors.ndim != 2 or len(vectors) != count:  # noqa: PLR2004 - rows and columns
        raise MalformedAnswerError(
            f"{count} texts gave an array of shape {vectors.shape}; "
            "it must have one row for each."
        )
    return vectors
