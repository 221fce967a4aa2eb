"""Adapters: one small protocol per family of models, one module per library.

What is asked of a model is the checks' business.
"""

from __future__ import annotations

from myia_sdk.certification.models.adapters import load_model
from myia_sdk.certification.models.protocols import (
    ChatEvent,
    ChatModel,
    ClassifierModel,
    EmbeddingModel,
    Model,
    RegressorModel,
)

__all__ = [
    "ChatEvent",
    "ChatModel",
    "ClassifierModel",
    "EmbeddingModel",
    "Model",
    "RegressorModel",
    "load_model",
]
