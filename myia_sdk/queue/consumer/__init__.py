"""What ``huey_consumer`` runs: slots that claim jobs, run them and store their ends.

How one function runs in a child is the sandbox's; what a command does, the store's.
"""

from __future__ import annotations

from myia_sdk.queue.consumer.consumer import BullConsumer

__all__ = ["BullConsumer"]
