"""The adapter of each kind of model, imported only when one of its kind is loaded.

Each adapter module has a function ``load(reference, surroundings) -> Model``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from myia_sdk.certification.models.protocols import Model, Surroundings
from myia_sdk.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.request import ModelRef

#: Adapter module of each kind of model.
ADAPTERS: dict[str, str] = {
    "sklearn": "myia_sdk.certification.models.files.sklearn",
    "onnx": "myia_sdk.certification.models.files.onnx",
    **dict.fromkeys(
        ("xgboost", "lightgbm", "catboost"),
        "myia_sdk.certification.models.files.boosting",
    ),
    "predictions": "myia_sdk.certification.models.predictions",
    "python": "myia_sdk.certification.models.python",
    "openai": "myia_sdk.certification.models.openai",
    "anthropic": "myia_sdk.certification.models.anthropic",
    "bedrock": "myia_sdk.certification.models.bedrock",
    "openai-embedding": "myia_sdk.certification.models.embedding",
    "python-embedding": "myia_sdk.certification.models.embedding",
}


def load_model(
    reference: ModelRef,
    artifacts: ArtifactStore | None = None,
    secrets: Mapping[str, str] | None = None,
    *,
    region: str | None = None,
    plugins: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
) -> Model:
    """Load the model that a reference names, with the adapter of its kind.

    Parameters
    ----------
    reference : ModelRef
        The model.
    artifacts : ArtifactStore, optional
        Holds the bytes of models that have any.
    secrets : mapping, optional
        Resolved secrets by reference.
    region : str, optional
        Region of the request; the reference's own one comes second.
    plugins : tuple of str, optional
        Modules from which a factory may be taken.
    packages : tuple of str, optional
        Packages whose types a model's file may name.

    Raises
    ------
    MissingExtraError
        The library of this kind is not installed.
    ModelRejectedError
        The model's file is of a kind that is not accepted.
    """
    module_name = ADAPTERS.get(reference.kind)
    if module_name is None:
        raise InvalidRequestError(
            f"No adapter for models of kind {reference.kind!r}; "
            f"known: {', '.join(ADAPTERS)}."
        )
    module = import_module(module_name)
    model: Model = module.load(
        reference,
        Surroundings(
            artifacts=artifacts,
            secrets=secrets or {},
            region=region or reference.region,
            plugins=plugins,
            packages=packages,
        ),
    )
    return model
