"""What the queue costs with 10^2, 10^4 and 10^6 jobs in it.

Run ``python -m tests.benchmarks.scale``; ``--sizes 100 10000`` for a short one. It
starts a server of its own, fills it through pipelines and prints one table: the
median time of each operation by queue size and the ratio of the largest to the
smallest, what each script of the bulk operations costs the server (its CPU time is
what a quiet machine would show as wall time), and the memory of a waiting job beside
BullMQ's.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.jobs.ids import new_job_id
from myia_sdk.queue.jobs.payload import encode_json
from myia_sdk.queue.store import JobStore, QueueAdministration
from myia_sdk.queue.store.administration import DELETE_BATCH
from myia_sdk.queue.wire import ConnectionOptions, connect
from tests.conftest import TEST_SERVER, RedisServer, free_port

LEASE = timedelta(minutes=5)
RARE = 25
#: Jobs added by the store itself; see `fill`.
ADDED = 10_000
#: Jobs of full size on which bulk operations are tried.
RICH = 5_000
DATA = {"model": {"name": "credit", "artifact": "sha256:" + "0" * 64}, "suite": "base"}
INTEROP = Path(__file__).parents[1] / "interop"
NODE_ADD = """
const { Queue } = require(process.argv[1] + '/bullmq');
const [host, port, password, name, count, data, ids] = process.argv.slice(2);
const connection = { host, port: Number(port), password };
(async () => {
  const queue = new Queue(name, { connection, prefix: 'myia' });
  const job = { name: 'certify', data: JSON.parse(data) };
  const chosen = (n) => ({ ...job, opts: { jobId: 'mwtpf2uydx' + (10000000 + n) } });
  for (let i = 0; i < Number(count); i += 1000) {
    const jobs = [...Array(1000).keys()].map((n) => ids ? chosen(i + n) : job);
    await queue.addBulk(jobs);
  }
  await queue.close();
})();
"""


def start_server(folder: Path) -> RedisServer:
    server = RedisServer(
        folder,
        free_port(),
        secrets.token_hex(8),
        extra=("--appendonly", "no", "--slowlog-log-slower-than", "1000"),
    )
    server.start()
    return server


def fill(store: JobStore, size: int) -> float:
    """Put `size` jobs in line, and as many ids into every other state.

    The first jobs are added by the store, which is timed; the rest is the same layout
    written by plain pipelined commands, so that a million take a minute.
    """
    added = min(size, ADDED)
    started = time.perf_counter()
    ids = store.add_many([new_job(n) for n in range(added)])
    rate = added / (time.perf_counter() - started)
    for first in range(added, size, 10_000):
        ids += write(store, range(first, min(first + 10_000, size)))
    due = (store.clock() + 10**9) * 4096
    scores = {
        JobState.PRIORITIZED: 2**32,
        JobState.DELAYED: due,
        JobState.COMPLETED: store.clock(),
        JobState.FAILED: store.clock(),
    }
    for state, score in scores.items():
        for first in range(0, size, 10_000):
            some = ids[first : first + 10_000]
            key = store.keys.base + state
            store.redis.zadd(key, {one: score + n for n, one in enumerate(some, first)})
    return rate


def new_job(number: int) -> NewJob:
    return NewJob(name="certify", data=DATA, labels=labels(number))


def write(store: JobStore, numbers: range) -> list[str]:
    now, data = store.clock(), encode_json(DATA)
    fields = {"name": "certify", "data": data, "opts": "{}", "timestamp": now}
    ids = [new_job_id() for _ in numbers]
    with store.redis.pipeline(transaction=False) as pipe:
        for one, number in zip(ids, numbers, strict=True):
            more = {f"label:{name}": text for name, text in labels(number).items()}
            job = fields | {"delay": 0, "priority": 0} | more
            pipe.hset(store.keys.base + one, mapping=job)
        for model in range(20):
            key = store.keys.sdk("index", "model", f"model-{model}")
            pipe.zadd(key, dict.fromkeys(ids[model::20], now))
        pipe.lpush(store.keys.wait, *ids)
        pipe.execute()
    return ids


def labels(number: int) -> dict[str, str]:
    rare = {"batch": "rare"} if number < RARE else {}
    return {"model": f"model-{number % 20}", **rare}


def median_ms(call: object, repeat: int) -> float:
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def measure(store: JobStore, size: int) -> dict[str, float]:
    middle = store.redis.lindex(store.keys.wait, size // 2)
    costs = {
        "counts": median_ms(store.counts, 200),
        "one job, first in line": median_ms(
            lambda: store.job(store.redis.lindex(store.keys.wait, 0)), 200
        ),
        "one job, middle of the line": median_ms(lambda: store.job(middle), 200),
        "search for 25 jobs by label": median_ms(
            lambda: store.find({"batch": "rare"}), 50
        ),
        "monitor refresh": median_ms(lambda: refresh(store), 100),
    }
    costs["submit"] = median_ms(lambda: store.add(NewJob(name="c", data=DATA)), 200)
    costs["claim"] = median_ms(lambda: store.claim("t", LEASE), 100)
    for state in scores_of_pages():
        costs[f"page of 25 {state}"] = median_ms(lambda s=state: store.page(s), 100)
    costs["submit a delayed job"] = median_ms(
        lambda: store.add(NewJob(name="c", options=JobOptions(delay=LEASE))), 100
    )
    return costs


def refresh(store: JobStore) -> None:
    store.counts()
    store.page(JobState.ACTIVE)
    store.page(JobState.WAITING)


def scores_of_pages() -> list[JobState]:
    return [state for state in JobState if state is not JobState.WAITING_CHILDREN]


def finish_some(store: JobStore, count: int = 200) -> float:
    """Median of claim to completed, with labels and a small result."""

    def one() -> None:
        job = store.claim("mine", LEASE).job
        if job is not None:
            store.complete(job.id, "mine", {"score": 1}, labels={"verdict": "ok"})

    store.add_many([NewJob(name="certify", data=DATA)] * count)
    return median_ms(one, count)


class Metered(JobStore):
    """A store that notes what each script costs the server: CPU and wall time, ms.

    The CPU time is that of the server's main thread, which also does other things in
    between, such as giving memory back; so it is at most what the script took by the
    clock, which the server notes, and which is longer when the machine is busy.
    """

    def __init__(self, store: JobStore) -> None:
        super().__init__(store.redis, store.queue, store.prefix)
        self.cpu: dict[str, list[float]] = {}
        self.wall: dict[str, list[float]] = {}
        self.label = ""

    def run(self, name: str, *arguments: object) -> object:
        before, begun = self._server_cpu(), time.perf_counter()
        answer = super().run(name, *arguments)
        wall = time.perf_counter() - begun
        cpu = min(self._server_cpu() - before, self._last_duration())
        label = self.label or name
        self.cpu.setdefault(label, []).append(cpu * 1000)
        self.wall.setdefault(label, []).append(wall * 1000)
        return answer

    def _last_duration(self) -> float:
        found = [
            entry["duration"] / 1e6
            for entry in self.redis.slowlog_get(20)
            if entry["command"].startswith(b"EVALSHA")
        ]
        self.redis.slowlog_reset()
        return found[0] if found else 0.001

    def _server_cpu(self) -> float:
        found = self.redis.info("cpu")
        kinds = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
        return sum(found[kind] for kind in kinds)


def heavy_operations(plain: JobStore, size: int) -> Metered:
    """Operations on many jobs, which must go in short steps.

    Their sets have `size` members; of these the `RICH` oldest are full-grown jobs, with
    labels, a result, a stack trace and a log, and those are retried, cleaned, promoted
    and drained.
    """
    store = Metered(plain)
    keys, redis = store.keys, store.redis
    admin = QueueAdministration(store)
    put_aside(store, keys.active)
    admin.pause()
    admin.resume()
    some = min(size, RICH)
    grow_up(plain, redis.zrange(keys.failed, 0, some - 1))
    cut = int(redis.zrange(keys.failed, some - 1, some - 1, withscores=True)[0][1])
    admin.retry_all(finished_before=datetime.fromtimestamp(cut / 1000, UTC))
    grow_up(plain, redis.zrange(keys.completed, 0, some - 1))
    admin.clean(timedelta(0), some, JobState.COMPLETED)
    put_aside(store, keys.delayed, keys.wait, keys.prioritized)
    for move in (admin.promote_all, lambda: store.claim("due", LEASE)):
        ids = write(plain, range(some))
        grow_up(plain, ids)
        put_aside(store, keys.wait)
        due = (store.clock() - 1000) * 4096
        redis.zadd(keys.delayed, dict.fromkeys(ids, due))
        store.label = "" if move == admin.promote_all else "claim, all due at once"
        while redis.zcard(keys.delayed):
            move()
    store.label = ""
    redis.sadd(keys.stalled, *redis.lrange(keys.active, 0, -1))
    redis.delete(*(keys.lock(one) for one in redis.lrange(keys.active, 0, -1)))
    store.check_stalled(timedelta(milliseconds=1), 100)
    admin.drain(delayed=True)
    grow_up(plain, write(plain, range(some)))
    admin.pause()
    for _ in range(some // DELETE_BATCH):
        store.run("obliterate", DELETE_BATCH, 1, store.clock())
    return store


def put_aside(store: JobStore, *names: str) -> None:
    """Empty lists and sets; freeing a million entries would cost the server itself."""
    for name in names:
        if store.redis.exists(name):
            store.redis.rename(name, f"aside:{secrets.token_hex(4)}")


def grow_up(store: JobStore, ids: list[str]) -> None:
    """Give jobs what a certification leaves: about 8 kB."""
    now = store.clock()
    ended = {
        "returnvalue": json.dumps({"checks": ["x" * 100] * 50}),
        "stacktrace": json.dumps(["File x, line 1\n" * 100]),
        "failedReason": "EndpointError: the model did not answer within thirty seconds",
        "finishedOn": now,
    }
    more = {f"kind{n}": f"value{n}" for n in range(6)}
    with store.redis.pipeline(transaction=False) as pipe:
        for one in ids:
            labels = {f"label:{name}": text for name, text in more.items()}
            pipe.hset(store.keys.job(one), mapping=ended | labels)
            pipe.rpush(store.keys.logs(one), *["a line of the log"] * 30)
        for name, text in more.items():
            index = store.keys.sdk("index", name, text)
            pipe.zadd(index, dict.fromkeys(ids, now))
        pipe.execute()


def report_scripts(store: Metered, size: int) -> None:
    head = f"{'script':<24}{'calls':>7}{'CPU p50':>9}{'p99':>7}{'max':>7}"
    print(f"\n{head}{'wall p99':>10}{'max':>7}   ms, {size:,} jobs")
    for name, cpu in sorted(store.cpu.items()):
        low, high, most = middle_and_ends(cpu)
        _, wall_high, wall_most = middle_and_ends(store.wall[name])
        print(
            f"{name:<24}{len(cpu):>7}{low:>9.2f}{high:>7.2f}{most:>7.2f}"
            f"{wall_high:>10.2f}{wall_most:>7.2f}"
        )


def middle_and_ends(values: list[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]


def memory_per_job(server: RedisServer, count: int = 20_000) -> dict[str, float]:
    """Bytes per waiting job: ours, ours with labels, BullMQ's."""
    # Deleting a million jobs takes longer than a client waits for others.
    client = server.client(socket_timeout=60)
    plain = {
        "ours": lambda: add_plain(server, count, {}),
        "ours, with 6 labels": lambda: add_plain(
            server, count, {f"label{n}": "some value" for n in range(6)}
        ),
        "BullMQ (Node)": lambda: add_by_node(server, count, ids=""),
        "BullMQ (Node), same ids": lambda: add_by_node(server, count, ids="chosen"),
    }
    sizes = {}
    for name, add in plain.items():
        client.execute_command("FLUSHALL", "SYNC")
        before = client.info("memory")["used_memory"]
        if add():
            client.delete(*client.scan_iter("*:events"))
            sizes[name] = (client.info("memory")["used_memory"] - before) / count
    client.close()
    return sizes


def add_plain(server: RedisServer, count: int, more: dict[str, str]) -> bool:
    store = JobStore(connect(ConnectionOptions(url=server.url)), "memory")
    store.add_many([NewJob(name="certify", data=DATA, labels=more)] * count)
    store.redis.close()
    return True


def add_by_node(server: RedisServer, count: int, ids: str) -> bool:
    modules = INTEROP / "node_modules"
    node = shutil.which("node")
    if node is None or not modules.exists():
        return False
    arguments = ["127.0.0.1", str(server.port), server.password, "memory", str(count)]
    command = [node, "-e", NODE_ADD, str(modules), *arguments, json.dumps(DATA), ids]
    subprocess.run(command, check=True)
    return True


def report(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            _report(server, sizes)
        finally:
            server.stop()


def _report(server: RedisServer, sizes: list[int]) -> None:
    client = connect(ConnectionOptions(url=server.url, socket_timeout=60))
    table: dict[str, dict[int, float]] = {}
    for size in sizes:
        client.execute_command("FLUSHALL", "SYNC")
        store = JobStore(client, "scale")
        rate = fill(store, size)
        print(f"{size:>9,} jobs in line ({rate:,.0f} a second through add_many)")
        costs = measure(store, size)
        costs["claim and complete"] = finish_some(store)
        for name, cost in costs.items():
            table.setdefault(name, {})[size] = cost
        report_scripts(heavy_operations(store, size), size)
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"\nmedian, ms, on {TEST_SERVER}, load {load:.1f} per core")
    print(f"{'':<30}" + "".join(f"{size:>12,}" for size in sizes) + f"{'ratio':>8}")
    for name, costs in table.items():
        row = "".join(f"{costs[size]:>12.3f}" for size in sizes)
        print(f"{name:<30}{row}{costs[sizes[-1]] / costs[sizes[0]]:>8.2f}")
    print("\nbytes per waiting job")
    for name, size in memory_per_job(server).items():
        print(f"{name:<30}{size:>12,.0f}")
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10**2, 10**4, 10**6], metavar="N"
    )
    report(parser.parse_args().sizes)


if __name__ == "__main__":
    main()
