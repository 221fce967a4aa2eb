"""What ``huey_consumer myia_sdk.worker.huey`` loads, and the task it runs.

Signing happens here, after the sandbox child has ended. The queue's side of a worker is
:mod:`myia_sdk.queue.consumer`; what is measured is :mod:`myia_sdk.certification`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myia_sdk.worker.worker import huey

__all__ = ["huey"]


def __getattr__(name: str) -> object:
    if name != "huey":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A child imports the task without connecting to anything.
    from myia_sdk.worker.worker import huey

    return huey
