"""Stock Huey with the same task, as the control of the recovery benchmark."""

from __future__ import annotations

import os
import time
from uuid import uuid4

from huey import RedisHuey

from tests.acceptance.app import note

huey = RedisHuey(
    os.environ.get("TEST_QUEUE") or f"t{uuid4().hex}",
    url=os.environ.get("TEST_URL", "redis://127.0.0.1:1/0"),
)


@huey.task(retries=5, retry_delay=0.1, context=True)
def effect(ledger, seconds=0.0, task=None):
    note(ledger, "start", task.id, 0, os.getpid())
    time.sleep(seconds)
    note(ledger, "finish", task.id, 0, os.getpid())
    return os.getpid()
