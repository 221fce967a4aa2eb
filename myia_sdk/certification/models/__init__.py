"""Adapters: one small protocol per family of models, one module per library.

What is asked of a model is the checks' business.
"""

from __future__ import annotations

from myia_sdk.certification.models.adapters import load_model
from myia_sdk.certification.models.protocols import (
    ChatAdapter,
    ChatEvent,
    ClassifierAdapter,
    EmbeddingAdapter,
    Model,
    RegressorAdapter,
)

__all__ = [
    "ChatAdapter",
    "ChatEvent",
    "ClassifierAdapter",
    "EmbeddingAdapter",
    "Model",
    "RegressorAdapter",
    "load_model",
]
