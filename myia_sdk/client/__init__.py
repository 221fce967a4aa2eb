"""One connection to a queue, and what works on it: submit, handles, batches, frames.

The facade :class:`myia_sdk.Client` stands above it, and above the panels.
"""

from __future__ import annotations

from myia_sdk.client.batch import Batch
from myia_sdk.client.certificates import CertificateStore
from myia_sdk.client.connection import Connection
from myia_sdk.client.handle import JobHandle
from myia_sdk.client.models import RegisteredModels
from myia_sdk.client.operations import Operations
from myia_sdk.client.plots import Plots
from myia_sdk.client.reader import Reader
from myia_sdk.client.registry import Entry, Registry
from myia_sdk.client.submit import Submissions

__all__ = [
    "Batch",
    "CertificateStore",
    "Connection",
    "Entry",
    "JobHandle",
    "Operations",
    "Plots",
    "Reader",
    "RegisteredModels",
    "Registry",
    "Submissions",
]
