"""The Huey project of the tests: ``huey_consumer tests.acceptance.app.huey``."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from huey import crontab
from huey.exceptions import RetryTask

from myia_sdk.queue import Backoff, BullHuey, Finished, UnrecoverableError, current_job
from myia_sdk.queue.sandbox.sandbox import Limits

QUEUE = os.environ.get("TEST_QUEUE") or f"t{uuid4().hex}"
LEASE = timedelta(seconds=float(os.environ.get("TEST_LEASE", "15")))
LIMITS = Limits(**json.loads(os.environ.get("TEST_LIMITS", "{}")))
#: Fields of ConnectionOptions, for servers that one address does not lead to.
CONNECTION = json.loads(os.environ.get("TEST_CONNECTION", "{}"))
CHECK = timedelta(seconds=float(os.environ.get("TEST_CHECK", "5")))
STALLS = int(os.environ.get("TEST_STALLS", "1"))

huey = BullHuey(
    QUEUE,
    os.environ.get("TEST_PREFIX", "myia"),
    **(CONNECTION or {"url": os.environ.get("TEST_URL", "redis://127.0.0.1:1/0")}),
    limits=LIMITS,
    lease=LEASE,
    stalled_interval=CHECK,
    max_stalled_count=STALLS,
)


def note(ledger, *words):
    """Append one durable line to a file that the queue does not own."""
    line = json.dumps([time.time(), *words]) + "\n"
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@huey.task()
def add(a, b=1):
    return a + b


@huey.task(isolate=False)
def quick(a, b=1):
    return a + b


@huey.task(retries=5, retry_delay=0.1)
def effect(ledger, seconds=0.0, gate=None):
    """Leave a start and a finish in the ledger around some work.

    With a gate, the work is not done before that file is there.
    """
    job = current_job()
    note(ledger, "start", job.id, job.attempt, os.getpid())
    time.sleep(seconds)
    while gate is not None and not Path(gate).exists():
        time.sleep(0.01)
    note(ledger, "finish", job.id, job.attempt, os.getpid())
    return os.getpid()


@huey.task(retries=5)
def hang(ledger, kind):
    """Run longer than any test, in one of the ways that no polite signal stops."""
    job = current_job()
    tree = []
    if kind == "tree":
        tree = [
            subprocess.Popen(["sleep", "600"]).pid,
            subprocess.Popen(["sleep", "600"], start_new_session=True).pid,
        ]
    note(ledger, "start", job.id, job.attempt, os.getpid(), *tree)
    if kind == "native":
        ctypes.PyDLL(None).sleep(600)
    while kind == "cpu":
        try:
            sum(range(1000))
        except BaseException:  # noqa: BLE001  # the body under test
            continue
    time.sleep(600)


@huey.task(retries=1)
def poison(kind):
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "abort":
        os.abort()
    if kind == "exit":
        os._exit(0)
    if kind == "sysexit":
        sys.exit(3)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "unserialisable":
        return {1, 2}
    if kind == "unrecoverable":
        raise UnrecoverableError("no use")
    raise ValueError(kind)


@huey.task(retries=1)
def kill_consumer(ledger):
    """Kill the worker that runs this, each time."""
    note(ledger, "start", current_job().id)
    status = Path(f"/proc/{os.getppid()}/status").read_text()
    parent = next(line for line in status.splitlines() if line.startswith("PPid"))
    os.kill(int(parent.split()[1]), signal.SIGKILL)
    time.sleep(600)


@huey.task()
def hog(kind, directory=None):
    """Take more of the machine than one job should."""
    if kind == "forks":
        for _ in range(7):
            os.fork()
    threads = [threading.Thread(target=time.sleep, args=(600,), daemon=True)]
    while kind == "threads" and len(threads) < 200:
        threads.append(threading.Thread(target=time.sleep, args=(600,), daemon=True))
    for thread in threads:
        thread.start()
    files = []
    while kind == "descriptors":
        files.append(Path(os.devnull).open())  # noqa: SIM115  # never closed: the point
    if kind == "disk":
        Path(directory, "hog").write_bytes(bytes(10_000_000))
    time.sleep(600)


def sign(job, value):
    return Finished({"signed": value, "by": os.getpid()}, {"verdict": "certified"})


def give_secret(job):
    return {"TASK_SECRET": "given"}


@huey.task(finalize=sign, child_env=give_secret, backoff=Backoff(delay=timedelta(0)))
def signed():
    names = [n for n in os.environ if n.startswith(("TEST_", "REDIS_"))]
    return {"secret": os.environ.get("TASK_SECRET"), "names": names}


@huey.task(name="reported")
def report():
    job = current_job()
    print("printed words")
    job.log("logged words")
    job.progress(0.5)
    return job.attempt


@huey.task()
def talk():
    """Say something, and be quiet for longer than any test."""
    print("said")
    time.sleep(600)


@huey.task()
def fan_out(count):
    """Enqueue from inside a child, which has no connection of its own."""
    return [add(number).id for number in range(count)]


@huey.task()
@huey.lock_task("single")
def alone(ledger):
    note(ledger, "enter")
    time.sleep(0.3)
    note(ledger, "leave")


@huey.task(context=True, retries=2)
def told(value, task=None):
    return [value, task.id, task.retries]


@huey.task()
def total(values):
    return sum(v for v in values if isinstance(v, int))


@huey.task()
def pair(a):
    return a, a + 1


@huey.task()
def describe(**facts):
    """Take anything by name, and tell where it ran."""
    return {"facts": facts, "pid": os.getpid()}


@huey.task(isolate=False)
def here(fail=False):
    job = current_job()
    job.progress({"percent": 100})
    job.log("from the thread")
    if fail:
        raise UnrecoverableError("asked to fail")
    return {"pid": os.getpid(), "attempt": job.attempt}


@huey.task(isolate=False)
def stubborn(ledger):
    """Keep the worker's own thread busy: no signal and no limit can end it."""
    note(ledger, "start", current_job().id, 1)
    time.sleep(600)


@huey.task(retries=3, retry_delay=0.05)
def flaky(ledger, good_from):
    """Fail until the attempt `good_from`."""
    attempt = current_job().attempt
    note(ledger, "attempt", attempt)
    if attempt < good_from:
        raise ConnectionError(f"attempt {attempt}")
    return attempt


@huey.task(timeout=0.5)
def slow(seconds):
    time.sleep(seconds)
    return "slept"


@huey.task(finalize=lambda job, value: Finished(value / 0))
def unfinishable():
    return 1


@huey.task(queue_access=False)
def confined():
    return add(1).id


@huey.task(retries=20, retry_delay=0.05)
def limited(ledger):
    asked = time.time()
    with huey.rate_limit("few", 2, 0.5):
        note(ledger, "passed", asked)


@huey.task()
def later(seconds):
    """Ask for another try, once, without using one up."""
    job = current_job()
    if not Path(job_file(job.id)).exists():
        Path(job_file(job.id)).touch()
        raise RetryTask("not yet", delay=seconds)
    Path(job_file(job.id)).unlink()
    return job.attempt


def job_file(job_id):
    return f"/tmp/myia-test-{job_id}"


@huey.task()
def ask(job_id):
    """Read another job's result from inside a child."""
    return huey.result(job_id, blocking=True, timeout=100)


@huey.task()
def peek_at_parents():
    """Look for the worker's password the way hostile code would."""
    found = []
    pid = os.getpid()
    for _ in range(2):
        status = Path(f"/proc/{pid}/status").read_text()
        pid = next(int(x[5:]) for x in status.splitlines() if x.startswith("PPid"))
        try:
            text = Path(f"/proc/{pid}/environ").read_text()
        except PermissionError:
            found.append("refused")
        else:
            found.append("leaks" if "TEST_URL" in text else "clean")
    return found


@huey.task()
def excuse(word, error):
    """An error handler: gets the text of the error."""
    note(word, "handled", error)


@huey.periodic_task(crontab(minute="*"), name="minutely")
def minutely():
    return None


CRASHES = os.environ.get("TEST_CRASHES")


def crash_once(point):
    """Kill this worker, kill -9, the first time it comes to a point."""
    if not CRASHES:
        return
    mark = Path(CRASHES) / point
    if (Path(CRASHES) / f"{point}.wanted").exists() and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@huey.signal()
def crash_at_signal(signal, task, *_):
    if task.name in {"guarded", "quick"}:
        crash_once(f"{task.name}-{signal}")


@huey.post_execute()
def crash_after(task, value, exception):
    if task.name == "guarded":
        crash_once("guarded-stored" if exception is None else "guarded-retried")


def crash_in_finalize(job, value):
    crash_once("guarded-returned")
    return Finished(value)


@huey.task(retries=3, retry_delay=0.05, finalize=crash_in_finalize)
def guarded(ledger):
    """Fail once, then return a number; the worker may die anywhere on the way."""
    job = current_job()
    note(ledger, "start", job.id, job.attempt)
    if job.attempt == 1:
        raise ConnectionError("first attempt")
    return 40
