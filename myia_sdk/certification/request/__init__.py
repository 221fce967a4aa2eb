"""What is asked for: references to models and data, parameters; records read strictly.

Plain data that travel in a job. Checking a submission is admission's.
"""

from __future__ import annotations

from myia_sdk.certification.request.models import (
    AnthropicModel,
    BedrockModel,
    ChatModel,
    EmbeddingModel,
    Endpoint,
    OnnxModel,
)
from myia_sdk.certification.request.records import JSON, RecordReader, json_safe
from myia_sdk.certification.request.references import (
    ENDPOINT_FAMILIES,
    FAMILIES,
    DatasetRef,
    ModelRef,
)
from myia_sdk.certification.request.request import CertificationRequest

__all__ = [
    "ENDPOINT_FAMILIES",
    "FAMILIES",
    "JSON",
    "AnthropicModel",
    "BedrockModel",
    "CertificationRequest",
    "ChatModel",
    "DatasetRef",
    "EmbeddingModel",
    "Endpoint",
    "ModelRef",
    "OnnxModel",
    "RecordReader",
    "json_safe",
]
