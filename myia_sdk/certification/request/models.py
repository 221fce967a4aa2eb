"""Models by classes of their own: what each kind needs, with completion and checks.

Each is turned into a `ModelRef`, which is what travels in a job.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from myia_sdk.certification.request.options import require_options
from myia_sdk.certification.request.records import json_safe
from myia_sdk.certification.request.references import ModelRef
from myia_sdk.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

_OF_REFERENCE = frozenset(item.name for item in fields(ModelRef))


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What all models that are asked over a network have; see `ChatModel`."""

    kind: ClassVar[str]

    model: str
    url: str | None = None
    secret: str | None = None
    name: str | None = None
    region: str | None = None
    region_urls: Mapping[str, str] | None = None
    prices: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        self.to_ref()

    def to_ref(self) -> ModelRef:
        """Return the reference that travels in a job.

        Raises
        ------
        InvalidRequestError
            A value is not valid; the message names it.
        """
        given = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) is not None
        }
        options = {
            name: json_safe(given.pop(name)) for name in set(given) - _OF_REFERENCE
        }
        return ModelRef(
            kind=self.kind,
            options=dict(sorted(options.items())),
            **{"name": self.model, **given},
        )


@dataclass(frozen=True, kw_only=True)
class _OverHTTP(Endpoint):
    default_headers: Mapping[str, str] | None = None
    default_query: Mapping[str, str] | None = None
    extra_body: Mapping[str, object] | None = None
    auth_header: str | None = None
    ca_file: str | None = None
    proxy: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChatModel(_OverHTTP):
    """A chat model behind an endpoint of the OpenAI protocol.

    Parameters
    ----------
    model : str
        Name by which the endpoint knows the model.
    url : str, optional
        Base URL, mostly ending in ``/v1``; OpenAI's own if not given. ``{region}`` in
        it is replaced by the region of the submission.
    secret : str, optional
        Where the worker finds the key, ``"env:OPENAI_API_KEY"``; never the key itself.
    name : str, optional
        How reports call it; ``model`` if not given.
    region : str, optional
        Where it is asked if the submission names no region.
    region_urls : mapping of str to str, optional
        The address in each region.
    vendor : str, optional
        Whose model it is: ``"anthropic"``, ``"cohere"``, ... The checks of a suite such
        as ``vendor-cohere`` are skipped for models of others.
    abilities : sequence of str, optional
        What it is promised to do, and fails for not doing, where others are skipped:
        ``json_schema logprobs max_tokens n seed stop temperature tools``.
    context_window : int, optional
        Tokens that prompt and answer may have together.
    parameters : mapping, optional
        Of the protocol, sent with every request.
    prices : mapping, optional
        ``{"prompt": ..., "completion": ...}``, per million tokens, in any currency;
        needed for a limit of the cost.
    default_headers, default_query, extra_body : mapping, optional
        Sent with every request, for what an endpoint needs besides the protocol; no
        credentials.
    auth_header : str, optional
        Header of the key, where it is not a bearer token: Azure's ``"api-key"``.
    api_version : str, optional
        Azure's ``api-version``.
    ca_file : str, optional
        File on the worker with the authority that signed the endpoint's certificate.
    proxy : str, optional
        URL of a proxy that needs no credentials.

    Raises
    ------
    InvalidRequestError
        A value is not valid; the message names it.

    Examples
    --------
    >>> local = ChatModel(url="http://localhost:8080/v1", model="smollm2")
    >>> local.to_ref().kind
    'openai'
    """

    kind = "openai"

    vendor: str | None = None
    abilities: Sequence[str] | None = None
    context_window: int | None = None
    parameters: Mapping[str, object] | None = None
    api_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class AnthropicModel(_OverHTTP):
    """A chat model behind Anthropic's Messages API, or a server that speaks it.

    Parameters
    ----------
    model : str
        Name by which the endpoint knows the model.
    url : str, optional
        Base URL without ``/v1``; Anthropic's own if not given.
    secret : str, optional
        Where the worker finds the key, ``"env:ANTHROPIC_API_KEY"``.
    **others
        As of `ChatModel`.
    """

    kind = "anthropic"

    vendor: str | None = "anthropic"
    abilities: Sequence[str] | None = None
    context_window: int | None = None
    parameters: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class BedrockModel(Endpoint):
    """A chat model of Amazon Bedrock.

    Parameters
    ----------
    model : str
        Model id or inference profile, ``"us.amazon.nova-lite-v1:0"``.
    region : str, optional
        AWS region, if the submission names none.
    secret : str, optional
        Where the worker finds ``ACCESS_KEY:SECRET_KEY[:SESSION_TOKEN]``; without it
        boto3 looks where it always does (profile, role of the machine).
    url : str, optional
        Of a private endpoint.
    name, region_urls, vendor, abilities, context_window, parameters, prices
        As of `ChatModel`.
    """

    kind = "bedrock"

    vendor: str | None = None
    abilities: Sequence[str] | None = None
    context_window: int | None = None
    parameters: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class EmbeddingModel(_OverHTTP):
    """An embedding model behind an endpoint of the OpenAI protocol.

    Parameters
    ----------
    model : str
        Name by which the endpoint knows the model.
    dimensions : int, optional
        Length that its vectors must have.
    unit_norm : bool, optional
        Whether its vectors are promised to have length 1.
    **others
        As of `ChatModel`.
    """

    kind = "openai-embedding"

    dimensions: int | None = None
    unit_norm: bool | None = None
    api_version: str | None = None


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX file, with what its graph does not say.

    Parameters
    ----------
    path : str, PathLike or bytes
        The file, or its content.
    classes : sequence, optional
        The labels in the order of the scores; 0, 1, ... if not given and the graph
        does not carry them.
    scores : ``"logits"`` or ``"probabilities"``, optional
        What the graph gives; told from its answers to the data if not given.
    fixed : mapping of str to number, optional
        Inputs that are no columns of the data: each is filled with its number, in the
        shape that the graph asks for. ``{"sr": 16000, "state": 0}`` for a detector of
        speech.
    family : ``"classifier"`` or ``"regressor"``, optional
        Told from the outputs if not given.
    name : str, optional
        How reports call it; the file's name if not given.

    Examples
    --------
    >>> model = OnnxModel("digits.onnx", classes=list("0123456789"))
    >>> model.options["classes"][:2]
    ['0', '1']
    """

    path: str | PathLike[str] | bytes
    classes: Sequence[object] | None = None
    scores: Literal["logits", "probabilities"] | None = None
    fixed: Mapping[str, float] | None = None
    family: Literal["classifier", "regressor"] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        options: Any = self.options
        require_options("onnx", options)
        if self.family not in {None, "classifier", "regressor"}:
            raise InvalidRequestError(
                f"'family' of the ONNX model is {self.family!r}; it must be "
                "'classifier' or 'regressor'."
            )

    @property
    def options(self) -> dict[str, object]:
        """What is given, as options of the reference."""
        given = {"classes": self.classes, "scores": self.scores, "fixed": self.fixed}
        return {k: json_safe(v) for k, v in given.items() if v is not None}
