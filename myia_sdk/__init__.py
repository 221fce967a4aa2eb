"""Submit AI models for certification, watch the jobs run, analyse the verdicts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.certification.checks import (
        CheckContext,
        Measurement,
        Outcome,
        Severity,
        check,
    )
    from myia_sdk.certification.data.predictions import Predictions
    from myia_sdk.certification.models.export import export_onnx
    from myia_sdk.certification.report import Report
    from myia_sdk.certification.request import (
        AnthropicModel,
        BedrockModel,
        ChatModel,
        DatasetRef,
        EmbeddingModel,
        ModelRef,
        OnnxModel,
    )
    from myia_sdk.certification.suites import list_suites, load_suite
    from myia_sdk.certification.verdict import Verdict
    from myia_sdk.client import Batch, JobHandle
    from myia_sdk.errors import MyiaError
    from myia_sdk.facade import Client
    from myia_sdk.queue.jobs import JobState
    from myia_sdk.settings import Settings

__version__ = "0.1.0"

#: Public name -> module that defines it; imported at first use, so that
#: ``import myia_sdk`` stays light.
_HOMES = {
    "AnthropicModel": "myia_sdk.certification.request.models",
    "Batch": "myia_sdk.client.batch",
    "BedrockModel": "myia_sdk.certification.request.models",
    "Certificate": "myia_sdk.certification.certificate.certificate",
    "ChatModel": "myia_sdk.certification.request.models",
    "CheckContext": "myia_sdk.certification.checks.context",
    "Client": "myia_sdk.facade",
    "DatasetRef": "myia_sdk.certification.request.references",
    "EmbeddingModel": "myia_sdk.certification.request.models",
    "JobHandle": "myia_sdk.client.handle",
    "JobState": "myia_sdk.queue.jobs.states",
    "Measurement": "myia_sdk.certification.checks.context",
    "ModelRef": "myia_sdk.certification.request.references",
    "MyiaError": "myia_sdk.errors",
    "OnnxModel": "myia_sdk.certification.request.models",
    "Outcome": "myia_sdk.certification.checks.outcomes",
    "Predictions": "myia_sdk.certification.data.predictions",
    "Report": "myia_sdk.certification.report.report",
    "Settings": "myia_sdk.settings.settings",
    "Severity": "myia_sdk.certification.checks.outcomes",
    "Verdict": "myia_sdk.certification.verdict.verdict",
    "check": "myia_sdk.certification.checks.registry",
    "export_onnx": "myia_sdk.certification.models.export",
    "list_suites": "myia_sdk.certification.suites.suites",
    "load_suite": "myia_sdk.certification.suites.suites",
}

__all__ = [
    "AnthropicModel",
    "Batch",
    "BedrockModel",
    "Certificate",
    "ChatModel",
    "CheckContext",
    "Client",
    "DatasetRef",
    "EmbeddingModel",
    "JobHandle",
    "JobState",
    "Measurement",
    "ModelRef",
    "MyiaError",
    "OnnxModel",
    "Outcome",
    "Predictions",
    "Report",
    "Settings",
    "Severity",
    "Verdict",
    "__version__",
    "check",
    "export_onnx",
    "list_suites",
    "load_suite",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magic ``%myia``; called by ``%load_ext myia_sdk``."""
    from myia_sdk.cli.magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magic away again; called by ``%unload_ext myia_sdk``."""
    from myia_sdk.cli.magics import unregister

    unregister(shell)
