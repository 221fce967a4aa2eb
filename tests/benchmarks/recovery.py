"""How long recovery takes, and what is lost: ``python -m tests.benchmarks.recovery``.

F1 kills the process that runs the job, F2 the whole consumer (another one runs
beside it), F5 lets the time limit do it, F12 silences the network. Stock Huey runs F1
and F2 as the control: if it lost nothing there, the test would prove nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import huey as stock_library
import psutil

from myia_sdk.queue import JobStore
from tests.acceptance import app
from tests.acceptance.wire import Wire
from tests.acceptance.worker import Consumer, ended, lines_of, wait_until
from tests.benchmarks import stock
from tests.conftest import RedisServer, free_port

#: How long stock Huey is given to run a lost job after all, seconds.
CONTROL_PATIENCE = 8.0


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def report(name, n, lost, duplicates, times):
    if times:
        spread = " ".join(
            f"{label} {percentile(times, share):.2f}"
            for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        )
    else:
        spread = "no recovery"
    print(f"{name:<34} n {n:>3}  lost {lost:>3}  duplicates {duplicates}  {spread} s")


def starts(ledger):
    return [line for line in lines_of(ledger) if line[1] == "start"]


def duplicates_in(ledgers):
    """Effects beyond the first that finished, over all jobs."""
    finished = [
        sum(line[1] == "finish" for line in lines_of(ledger)) for ledger in ledgers
    ]
    return sum(max(count - 1, 0) for count in finished)


def kill_child(server, directory, n):
    times, ledgers = [], []
    with Consumer(server, directory / "f1.log", lease=2, check=0.5) as consumer:
        for number in range(n):
            ledger = directory / f"f1-{number}"
            ledgers.append(ledger)
            job_id = consumer.submit(app.effect.s(str(ledger), 0.3))
            (first,) = wait_until(lambda ledger=ledger: starts(ledger))
            killed = time.time()
            os.kill(first[4], signal.SIGKILL)
            assert ended(consumer.store, job_id).state == "completed"
            times.append(starts(ledger)[1][0] - killed)
    report("F1 kill -9 of the child", n, n - len(times), duplicates_in(ledgers), times)


def kill_consumer(server, directory, n):
    times, ledgers, orphans = [], [], 0
    with Consumer(server, directory / "f2.log", lease=2, check=0.5) as doomed:
        for number in range(n):
            ledger = directory / f"f2-{number}"
            ledgers.append(ledger)
            job_id = doomed.submit(app.effect.s(str(ledger), 0.3))
            (first,) = wait_until(lambda ledger=ledger: starts(ledger))
            killed = time.time()
            doomed.process.kill()
            doomed.restart()
            assert ended(doomed.store, job_id).state == "completed"
            times.append(starts(ledger)[1][0] - killed)
            orphans += psutil.pid_exists(first[4])
    lost = n - len(times)
    report("F2 kill -9 of the consumer", n, lost, duplicates_in(ledgers), times)
    print(f"{'':<34} orphans {orphans}; lease 2 s, start of the new one included")


def time_limits(server, directory, n):
    over = []
    kinds = ["sleep", "cpu", "native", "tree"]
    with Consumer(server, directory / "f5.log") as consumer:
        for number in range(n):
            ledger = directory / f"f5-{number}"
            task = app.hang.s(str(ledger), kinds[number % 4], timeout=0.5)
            task.retries = 0
            job = ended(consumer.store, consumer.submit(task))
            assert job.failed_reason.startswith("timed out after 0.5 s")
            elapsed = job.finished_at - job.processed_at
            over.append(elapsed.total_seconds() - 0.5)
    report("F5 over the time limit", n, 0, 0, over)


def cut_network(server, directory, seconds=30.0):
    """Silence in one or both directions, with the worker's own lease of 15 s."""
    cuts = {"both ways": (), "questions": ("to",), "answers": ("from",)}
    for name, ways in cuts.items():
        ledger = directory / f"f12-{name}"
        with Wire(server.port) as wire, server.client() as straight:
            far = replace(server, port=wire.port)
            with Consumer(far, directory / "f12.log", "-w", "2") as consumer:
                store = JobStore(straight, consumer.queue)
                tasks = [app.effect.s(str(ledger), 0.5) for _ in range(8)]
                ids = store.add_many([app.huey.new_job(task) for task in tasks])
                wait_until(lambda ledger=ledger: len(starts(ledger)) > 3)
                wire.cut(*ways)
                time.sleep(seconds)
                wire.mend()
                mended = time.monotonic()
                jobs = [ended(store, job_id) for job_id in ids]
                times = [time.monotonic() - mended]
        lost = sum(job.state != "completed" for job in jobs)
        again = len(lines_of(ledger)) // 2 - len(ids)
        report(f"F12 silent {seconds:.0f} s, {name}", len(ids), lost, again, times)


def control(server, directory, n, *, whole):
    """Stock Huey, process workers: kill the worker child, or the consumer."""
    recovered, ledgers, orphans = [], [], 0
    queue = f"stock{secrets.token_hex(6)}"
    environment = {**os.environ, "TEST_URL": server.url, "TEST_QUEUE": queue}
    stock.huey.storage = stock.huey.storage_class(queue, url=server.url)
    command = [sys.executable, "-m", "huey.bin.huey_consumer"]
    command += ["tests.benchmarks.stock.huey", "-k", "process", "-c", "1"]
    with (directory / "stock.log").open("ab") as log:
        process = None
        for number in range(n):
            if process is None or process.poll() is not None:
                process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log
                )
            ledger = directory / f"stock-{whole}-{number}"
            ledgers.append(ledger)
            stock.effect(str(ledger), 2)
            (first,) = wait_until(lambda ledger=ledger: starts(ledger))
            killed = time.time()
            family = psutil.Process(process.pid).children(recursive=True)
            os.kill(process.pid if whole else first[4], signal.SIGKILL)
            if whole:
                process.wait()
                time.sleep(1)
                orphans += sum(child.is_running() for child in family)
                for child in family:
                    child.kill()
                process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log
                )
            deadline = time.time() + CONTROL_PATIENCE
            while time.time() < deadline and len(starts(ledger)) < 2:
                time.sleep(0.05)
            if len(starts(ledger)) > 1:
                recovered.append(starts(ledger)[1][0] - killed)
        if process is not None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
    name = "F2 control: stock, consumer" if whole else "F1 control: stock, child"
    lost = n - len(recovered)
    report(name, n, lost, duplicates_in(ledgers), recovered)
    if whole:
        print(f"{'':<34} orphans {orphans}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=10, help="trials of each fault")
    n = parser.parse_args().n
    print(
        f"huey {stock_library.__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = RedisServer(directory, free_port(), secrets.token_hex(8))
        server.start()
        try:
            kill_child(server, directory, n)
            kill_consumer(server, directory, max(n // 2, 2))
            time_limits(server, directory, n)
            cut_network(server, directory)
            control(server, directory, min(n, 3), whole=False)
            control(server, directory, min(n, 3), whole=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
