"""What a run depended on: versions, platform, seed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.certification.request import JSON

_LIBRARIES = (
    "myia-sdk",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "skops",
    "xgboost-cpu",
    "lightgbm",
    "catboost",
    "onnxruntime",
    "openai",
    "anthropic",
    "boto3",
)


def environment(seed: int) -> dict[str, JSON]:
    """Return what a run depended on: versions, platform, seed."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "seed": seed,
        "libraries": dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, JSON]]:
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
