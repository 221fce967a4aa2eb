"""Where models and datasets are: references that travel in a job.

Digests of artifacts, addresses, import paths and names of secrets, never the things
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Self, get_args

from myia_sdk.certification.request.options import require_options, require_url
from myia_sdk.certification.request.records import JSON, RecordReader, json_safe
from myia_sdk.errors import InvalidRequestError

ModelKind = Literal[
    "sklearn",
    "onnx",
    "xgboost",
    "lightgbm",
    "catboost",
    "predictions",
    "python",
    "openai",
    "anthropic",
    "bedrock",
    "openai-embedding",
    "python-embedding",
]
MODEL_KINDS: tuple[str, ...] = get_args(ModelKind)

#: What a model does and a suite measures.
Family = Literal["classifier", "regressor", "chat", "embedding"]
FAMILIES: tuple[str, ...] = get_args(Family)
#: Families that are asked over a network; suites of the others measure on data.
ENDPOINT_FAMILIES = frozenset({"chat", "embedding"})

_REQUIRED: dict[str, tuple[str, ...]] = {
    "sklearn": ("artifact",),
    "onnx": ("artifact",),
    "xgboost": ("artifact",),
    "lightgbm": ("artifact",),
    "catboost": ("artifact",),
    "predictions": ("artifact",),
    "python": ("factory",),
    "openai": ("model",),
    "anthropic": ("model",),
    "bedrock": ("model",),
    "openai-embedding": ("model",),
    "python-embedding": ("factory",),
}
_FIXED_FAMILIES = {
    "openai": "chat",
    "anthropic": "chat",
    "bedrock": "chat",
    "openai-embedding": "embedding",
    "python-embedding": "embedding",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_TEXTS = (
    *("name", "family", "artifact", "format", "url", "model", "secret"),
    *("factory", "region", "vendor"),
)
_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


def family_of_kind(kind: str) -> str | None:
    """Return the family of all models of a kind; ``None`` when it has several."""
    return _FIXED_FAMILIES.get(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Where a model is and which adapter speaks to it."""

    kind: str
    name: str
    #: What the model does; known from the kind for endpoints.
    family: str | None = None
    #: ``sha256:...`` of the model's bytes in the artifact store.
    artifact: str | None = None
    #: ``"skops"``, ``"onnx"``, ``"ubj"``, ``"json"``, ``"txt"``, ``"cbm"`` or, of
    #: predictions, ``"parquet"``.
    format: str | None = None
    #: Base URL of an endpoint, without credentials.
    url: str | None = None
    #: Name by which the endpoint knows the model.
    model: str | None = None
    #: Reference of the credential, ``"env:OPENAI_API_KEY"``; never the credential.
    secret: str | None = None
    #: Import path of a factory on the worker, ``"package.module:function"``.
    factory: str | None = None
    region: str | None = None
    #: Whose chat model it is: what only that vendor's models are asked for is skipped
    #: for those of others.
    vendor: str | None = None
    #: Further options of the adapter, JSON only; the classes for each kind, such as
    #: `ChatModel`, say which there are.
    options: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in MODEL_KINDS:
            raise InvalidRequestError(
                f"The model's 'kind' is {self.kind!r}; "
                f"it must be one of {', '.join(MODEL_KINDS)}."
            )
        self._require_texts()
        if not self.name:
            raise InvalidRequestError("The model's 'name' is empty; give it a name.")
        for key in _REQUIRED[self.kind]:
            if not getattr(self, key):
                raise InvalidRequestError(
                    f"A model of kind {self.kind!r} needs the key {key!r}; add it."
                )
        if self.family is None:
            object.__setattr__(self, "family", _FIXED_FAMILIES.get(self.kind))
        elif self.family not in FAMILIES:
            raise InvalidRequestError(
                f"The model's 'family' is {self.family!r}; "
                f"it must be one of {', '.join(FAMILIES)}."
            )
        require_options(self.kind, self.options)
        self._check_references()

    def _require_texts(self) -> None:
        for item in _TEXTS:
            value = getattr(self, item)
            if value is not None and not isinstance(value, str):
                raise InvalidRequestError(
                    f"The model's {item!r} is a {type(value).__name__}; it must be a "
                    "text."
                )

    def _check_references(self) -> None:
        if self.artifact is not None:
            require_digest(self.artifact, "The model's 'artifact'")
        if self.factory is not None and not _FACTORY.fullmatch(self.factory):
            raise InvalidRequestError(
                f"The model's 'factory' is {self.factory!r}; "
                "it must look like 'package.module:function'."
            )
        if self.secret is not None and not _SECRET.fullmatch(self.secret):
            raise InvalidRequestError(
                "The model's 'secret' must be a reference such as "
                "'env:OPENAI_API_KEY'; the secret itself must never be in a request."
            )
        if self.url is not None:
            require_url(self.url)

    def url_in(self, region: str | None) -> str | None:
        """Return the endpoint of a region.

        Parameters
        ----------
        region : str or None
            Looked up in the option ``region_urls``, or put in place of ``{region}``
            in the URL; otherwise the URL serves every region.

        Raises
        ------
        InvalidRequestError
            ``region_urls`` does not have it, or the URL needs one.
        """
        urls = self.options.get("region_urls")
        if region and isinstance(urls, Mapping):
            if region not in urls:
                raise InvalidRequestError(
                    f"Model {self.name!r} has no endpoint in region {region!r}; "
                    f"it has: {', '.join(urls)}."
                )
            return str(urls[region])
        if self.url is None or "{region}" not in self.url:
            return self.url
        if not region:
            raise InvalidRequestError(
                f"The endpoint of model {self.name!r} depends on the region; "
                "give the request one."
            )
        return self.url.replace("{region}", region)

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this reference, without empty keys."""
        record: dict[str, JSON] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and value != {}:
                record[item.name] = json_safe(value)
        return record

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the JSON object of a reference, strictly."""
        reader = RecordReader(record, "The model", InvalidRequestError)
        kind = reader.text("kind")
        texts = {key: reader.optional_text(key) for key in _TEXTS if key != "name"}
        fallback = texts["model"] or texts["factory"] or texts["artifact"] or kind
        reference = cls(
            kind=kind,
            name=reader.text("name", fallback),
            options={k: json_safe(v) for k, v in reader.mapping("options").items()},
            **texts,
        )
        reader.refuse_rest()
        return reference


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRef:
    """Where a dataset is: a table with features and, if needed, a target."""

    #: ``sha256:...`` of the Parquet file in the artifact store.
    artifact: str
    rows: int
    format: str = "parquet"
    #: Column that holds the truth.
    target: str | None = None
    name: str | None = None
    #: Columns whose groups are compared for fairness.
    sensitive: tuple[str, ...] = ()
    #: The data the model was trained with, if given.
    train: DatasetRef | None = None

    def __post_init__(self) -> None:
        require_digest(self.artifact, "The dataset's 'artifact'")
        if self.format != "parquet":
            raise InvalidRequestError(
                f"The dataset's 'format' is {self.format!r}; it must be 'parquet'."
            )
        if self.rows < 1:
            raise InvalidRequestError(
                f"The dataset's 'rows' is {self.rows}; it needs at least one row."
            )

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this reference."""
        return {
            "artifact": self.artifact,
            "format": self.format,
            "target": self.target,
            "rows": self.rows,
            "name": self.name,
            "sensitive": list(self.sensitive),
            "train": self.train.to_record() if self.train else None,
        }

    @classmethod
    def from_record(cls, record: object, where: str = "The dataset") -> Self:
        """Read the JSON object of a reference, strictly."""
        reader = RecordReader(record, where, InvalidRequestError)
        train = reader.optional_mapping("train")
        reference = cls(
            artifact=reader.text("artifact"),
            format=reader.text("format", "parquet"),
            target=reader.optional_text("target"),
            rows=reader.integer("rows", 1),
            name=reader.optional_text("name"),
            sensitive=reader.texts("sensitive"),
            train=None
            if train is None
            else cls.from_record(train, f"{where}'s 'train'"),
        )
        reader.refuse_rest()
        return reference


def require_digest(value: object, what: str) -> str:
    """Return ``value`` if it is a digest of the form ``sha256:<64 hex digits>``.

    Raises
    ------
    InvalidRequestError
        It is not; a digest names a file, so nothing else is let through.
    """
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise InvalidRequestError(
            f"{what} is {value!r}; it must be 'sha256:' and 64 lower-case hex digits."
        )
    return value
