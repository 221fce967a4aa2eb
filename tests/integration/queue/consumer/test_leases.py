"""Progress and logs of running jobs on their way to the queue."""

from __future__ import annotations

import threading

from myia_sdk.queue.consumer.leases import Running
from myia_sdk.queue.store import JobStore
from tests.helpers.queue_probe import LEASE, new_job


class SlowStore(JobStore):
    """A store to which the first lines are long on their way."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.is_sending = threading.Event()
        self.may_go_on = threading.Event()

    def log(self, *arguments, **options):
        if not self.is_sending.is_set():
            self.is_sending.set()
            assert self.may_go_on.wait(120)
        return super().log(*arguments, **options)


def test_lines_do_not_overtake_each_other(redis_client, queue_name):
    """Those sent with the end of a job wait for those that are on their way."""
    store = SlowStore(redis_client, queue_name)
    store.add(new_job())
    entry = Running(store.claim("token", LEASE).job, "token", 0)
    entry.log("first")
    supervisor = threading.Thread(target=entry.flush, args=(store,))
    supervisor.start()
    assert store.is_sending.wait(120)
    entry.log("last")
    slot = threading.Thread(target=entry.flush, args=(store,))
    slot.start()
    slot.join(0.2)
    assert slot.is_alive()
    store.may_go_on.set()
    for thread in (supervisor, slot):
        thread.join(120)
    assert store.logs(entry.job.id).lines == ["first", "last"]
