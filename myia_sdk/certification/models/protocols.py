"""What models offer, one small protocol per family; what adapters may use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.request import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an adapter may use to load a model."""

    artifacts: ArtifactStore | None = None
    #: Resolved secrets by reference: ``{"env:OPENAI_API_KEY": "..."}``.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    region: str | None = None
    #: Modules from which factories may be taken.
    plugins: tuple[str, ...] = ()
    #: Packages whose types a model's file may name.
    packages: tuple[str, ...] = ()


@runtime_checkable
class Model(Protocol):
    """What every adapter offers."""

    #: ``classifier``, ``regressor``, ``chat`` or ``embedding``.
    family: str

    def describe(self) -> Mapping[str, JSON]:
        """Say what was loaded: type, classes, resolved name, fingerprint."""

    def close(self) -> None:
        """Give back connections and files; further calls are errors."""


@runtime_checkable
class ClassifierAdapter(Model, Protocol):
    """Predicts one of a fixed set of classes from a row of features."""

    @property
    def classes(self) -> np.ndarray:
        """The classes, in the order of the columns of `predict_proba`."""

    @property
    def n_features(self) -> int | None:
        """Number of features of a row, ``None`` when the model does not say."""

    @property
    def has_probabilities(self) -> bool:
        """Whether `predict_proba` works."""

    def predict(self, X: object) -> np.ndarray:
        """Return one class per row."""

    def predict_proba(self, X: object) -> np.ndarray:
        """Return one probability per row and class."""


@runtime_checkable
class RegressorAdapter(Model, Protocol):
    """Predicts a number from a row of features."""

    @property
    def n_features(self) -> int | None:
        """Number of features of a row, ``None`` when the model does not say."""

    def predict(self, X: object) -> np.ndarray:
        """Return one number per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEvent:
    """One event of an answer, as it arrived.

    An adapter yields an event for each piece the endpoint sends, when it arrives, and
    never collects them first; failures are raised, never yielded.
    """

    #: Seconds since the request was sent.
    elapsed: float
    #: Text that this event adds to the answer, may be empty.
    text: str = ""
    #: What it adds to the thoughts before the answer, where the endpoint shows them.
    thought: str = ""
    #: Tool calls complete with this event: ``{"name": ..., "arguments": ...}``.
    tool_calls: tuple[Mapping[str, JSON], ...] = ()
    #: ``stop``, ``length``, ``tool_calls``, ``content_filter``; on the last events.
    finish_reason: str | None = None
    #: ``prompt_tokens``, ``completion_tokens``, ``total_tokens``.
    usage: Mapping[str, int] | None = None
    #: Model name the endpoint says it used.
    resolved_model: str | None = None
    fingerprint: str | None = None
    #: Raw headers of the answer, lower-case names.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: What else a whole answer tells: how many ``choices``, whether ``logprobs``.
    extras: Mapping[str, JSON] = field(default_factory=dict)


@runtime_checkable
class ChatAdapter(Model, Protocol):
    """Answers a conversation."""

    def chat(
        self,
        messages: Sequence[Mapping[str, JSON]],
        parameters: Mapping[str, JSON] | None = None,
        *,
        stream: bool = True,
        timeout: float = 60.0,
    ) -> Iterator[ChatEvent]:
        """Send one request, without retries, and yield what comes back.

        Parameters
        ----------
        messages : sequence of mapping
            ``{"role": ..., "content": ...}`` as in the OpenAI protocol.
        parameters : mapping, optional
            ``temperature top_p max_tokens stop seed tools tool_choice
            response_format logprobs n``, by OpenAI's names.
        stream : bool
            Whether pieces are asked for; a whole answer is one event.
        timeout : float
            Seconds until the request is given up.
        """


@runtime_checkable
class EmbeddingAdapter(Model, Protocol):
    """Turns texts into vectors."""

    def embed(self, texts: Sequence[str], *, timeout: float = 60.0) -> np.ndarray:
        """Return one row per text, without retries."""
