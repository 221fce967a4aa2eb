"""Drives the official Python client: JSON commands on stdin, answers on stdout.

It speaks the protocol of driver.mjs, as far as that client goes.
Usage: python driver_python.py <redis url>
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib.metadata import version

from bullmq import Job, Queue, Worker

JOB_FIELDS = """
    id name data progress timestamp delay priority attemptsMade attemptsStarted
    failedReason returnvalue finishedOn processedOn
"""
REDIS_URL = sys.argv[1]
QUEUES: dict[tuple[str, str], Queue] = {}
WORKERS: dict[str, tuple[Worker, list, asyncio.Task]] = {}


def queue_of(command):
    key = (command.get("prefix", "myia"), command["queue"])
    if key not in QUEUES:
        options = {"connection": REDIS_URL, "prefix": key[0]}
        QUEUES[key] = Queue(key[1], options)
    return QUEUES[key]


async def job_of(command):
    job = await Job.fromId(queue_of(command), command["id"])
    if job is None:
        raise LookupError(f"job {command['id']} not found")
    return job


def plain(value):
    if isinstance(value, Job):
        return {name: getattr(value, name, None) for name in JOB_FIELDS.split()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


async def perform(job, token):
    wish = job.data or {}
    if "progress" in wish:
        await job.updateProgress(wish["progress"])
    if "sleep" in wish:
        await asyncio.sleep(wish["sleep"] / 1000)
    if "fail" in wish:
        raise RuntimeError(wish["fail"])
    return wish.get("returns", {"by": "python"})


async def start_worker(command):
    seen = []

    async def process(job, token):
        seen.append({"id": job.id, "name": job.name})
        return await perform(job, token)

    options = {
        "connection": REDIS_URL,
        "prefix": command.get("prefix", "myia"),
        "autorun": False,
        **command.get("options", {}),
    }
    worker = Worker(command["queue"], process, options)
    worker.on("error", lambda *_: None)
    WORKERS[command["key"]] = (worker, seen, asyncio.create_task(worker.run()))
    return True


async def stop_worker(command):
    worker, _, task = WORKERS.pop(command["key"])
    await worker.close(force=command.get("force", False))
    task.cancel()
    return True


async def result_of(value):
    return (
        await value if asyncio.iscoroutine(value) or asyncio.isfuture(value) else value
    )


async def run(command):
    match command["op"]:
        case "version":
            return version("bullmq")
        case "queue":
            method = getattr(queue_of(command), command["method"])
            return plain(await result_of(method(*command.get("args", []))))
        case "job":
            method = getattr(await job_of(command), command["method"])
            return plain(await result_of(method(*command.get("args", []))))
        case "jobRead":
            return plain(await job_of(command))
        case "worker":
            return await start_worker(command)
        case "workerSeen":
            return WORKERS[command["key"]][1]
        case "workerStop":
            return await stop_worker(command)
        case "close":
            for key in list(WORKERS):
                await stop_worker({"key": key, "force": True})
            for queue in QUEUES.values():
                await queue.close()
            QUEUES.clear()
            return True
    raise ValueError(f"unknown operation {command['op']}")


async def main():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = {"value": await run(command)}
        except Exception as error:  # noqa: BLE001 - the test reads it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"n": command["n"], **answer}, default=str), flush=True)


try:
    asyncio.run(main())
finally:
    # The client's finalisers complain when the loop is gone.
    sys.stdout.flush()
    os._exit(0)
