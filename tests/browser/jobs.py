"""Tasks that tests of the panels run in real workers."""

from __future__ import annotations

import os
import time

from myia_sdk.queue import BullHuey, current_job

huey = BullHuey(
    os.environ.get("CERTIFICATION_QUEUE_NAME", "panels"),
    host=os.environ.get("REDIS_HOST", "127.0.0.1"),
    port=int(os.environ.get("REDIS_PORT", "6379")),
    password=os.environ.get("REDIS_PASSWORD"),
)


@huey.task(name="endless")
def endless() -> None:
    """Run until it is killed, telling how far it got."""
    job = current_job()
    for step in range(10_000):
        job.progress({"percent": min(step, 99), "check": f"step {step}"})
        if step < 200:
            # Fewer than a panel shows, so that the first ones stay in sight.
            job.log(f"step {step}")
        time.sleep(0.2)


@huey.task(name="fails_once")
def fails_once(marker: str) -> str:
    """Fail at the first run, which leaves the marker file, and succeed after."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "done"
    raise ValueError("the first run fails <b>on purpose</b>")
