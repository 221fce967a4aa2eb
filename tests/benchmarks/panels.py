"""What a monitor costs: messages, bytes, latency, memory, commands on the server.

``python -m tests.benchmarks.panels`` starts a server, a JupyterLab and chromium, and
prints one line for each measure with its target.
"""

from __future__ import annotations

import json
import platform
import random
import secrets
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from myia_sdk import Client, Settings
from tests.browser.conftest import (
    Notebook,
    running_lab,
)
from tests.conftest import RedisServer, free_port
from tests.helpers.chromium import CHROMIUM_ARGUMENTS, chromium_path
from tests.helpers.panel_probe import Jobs

CELL = """
from myia_sdk import Client, Settings
if "client" not in globals():
    client = Client(Settings(certification_queue_name="bench"))
panel = client.monitor()
panel
"""
WATCH = """
() => {
    window.seen = [];
    const look = () => {
        const number = document.querySelector(
            '.myia-root tbody .myia-progress .myia-number');
        const text = number ? number.textContent : '';
        const last = window.seen.length ? window.seen[window.seen.length - 1][0] : null;
        if (text !== last) window.seen.push([text, Date.now()]);
    };
    new MutationObserver(look).observe(document.querySelector('.myia-root'),
        {subtree: true, childList: true, characterData: true});
}
"""
EVENTS = 60
STORM_SECONDS = 10
IDLE_SECONDS = 20


class Wire:
    """Counts what the browser receives from panels: data, and answered heartbeats."""

    def __init__(self, page: Any) -> None:
        self.messages = self.bytes = self.heartbeats = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, payload: bytes | str) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        # The kernel's own status messages name a comm_msg as their parent.
        if b"comm_msg" not in data or b"execution_state" in data:
            return
        if b'"type": "ack"' in data:
            self.heartbeats += 1
            return
        self.messages += 1
        self.bytes += len(data)


def latencies(client: Client, page: Any, job_id: str) -> list[float]:
    """Milliseconds from a job's progress to the changed text on the page."""
    page.evaluate(WATCH)
    sent = {}
    for percent in range(1, EVENTS + 1):
        client.queue.progress(job_id, percent)
        sent[f"{percent}%"] = time.time() * 1000
        page.wait_for_timeout(random.uniform(250, 900))
    seen = dict(reversed(page.evaluate("() => window.seen")))
    return [seen[text] - at for text, at in sent.items() if text in seen]


def storm(
    client: Client, page: Any, wire: Wire, job_ids: list[str]
) -> dict[str, float]:
    """Messages and bytes a second while many jobs report progress."""
    messages, size, count = wire.messages, wire.bytes, 0
    begun = time.monotonic()
    while time.monotonic() - begun < STORM_SECONDS:
        for job_id in job_ids:
            client.queue.progress(job_id, random.uniform(1, 99))
            count += 1
        page.wait_for_timeout(40)
    took = time.monotonic() - begun
    return {
        "events_per_second": count / took,
        "messages_per_second": (wire.messages - messages) / took,
        "bytes_per_second": (wire.bytes - size) / took,
    }


def idle(client: Client, page: Any, wire: Wire) -> dict[str, float]:
    """Messages to the browser and commands on the server while nothing happens."""
    page.wait_for_timeout(3_000)
    messages, heartbeats = wire.messages, wire.heartbeats
    before = client.queue.redis.info("stats")["total_commands_processed"]
    page.wait_for_timeout(IDLE_SECONDS * 1000)
    after = client.queue.redis.info("stats")["total_commands_processed"]
    return {
        "idle_messages_per_second": (wire.messages - messages) / IDLE_SECONDS,
        "idle_heartbeats_per_second": (wire.heartbeats - heartbeats) / IDLE_SECONDS,
        "idle_commands_per_second": (after - before - 1) / IDLE_SECONDS,
    }


def memory(notebook: Notebook) -> dict[str, float]:
    """Memory of the kernel before and after a hundred reruns of the cell, MB."""
    read = "import gc, psutil; gc.collect(); print(psutil.Process().memory_info().rss)"
    rerun = """async (count) => {
        for (let i = 0; i < count; i += 1) {
            await window.jupyterapp.commands.execute('notebook:run-all-cells');
        }
    }"""
    notebook.page.evaluate(rerun, 10)
    before = int(notebook.execute(read))
    notebook.page.evaluate(rerun, 100)
    after = int(notebook.execute(read))
    return {
        "kernel_mb_before_100_reruns": before / 1e6,
        "kernel_mb_after_100_reruns": after / 1e6,
    }


def measure(base: Path, stack: ExitStack) -> dict[str, float]:
    """Run all measurements and return them by name."""
    server = RedisServer(base, free_port(), secrets.token_hex(8))
    server.start()
    stack.callback(server.stop)
    lab_base = base / "lab"
    lab_base.mkdir()
    lab = stack.enter_context(running_lab(lab_base, server, base / "home"))
    client = stack.enter_context(
        Client(
            Settings(
                redis_host="127.0.0.1",
                redis_port=server.port,
                redis_password=server.password,
                certification_queue_name="bench",
                myia_home=base / "home",
                _env_file=None,
            )
        )
    )
    playwright = stack.enter_context(sync_playwright())
    browser = playwright.chromium.launch(
        executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS
    )
    stack.callback(browser.close)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    wire = Wire(page)
    notebook = Notebook(page, lab, lab.notebook("bench.ipynb", "1"))
    jobs = Jobs(client)
    active = [jobs.active(f"model-{index}") for index in range(25)]
    first = jobs.active("first")
    notebook.run(CELL)
    page.locator(".myia-root tbody tr").first.wait_for()
    found = sorted(latencies(client, page, first))
    results = {
        "events_shown": float(len(found)),
        "latency_ms_p50": statistics.median(found),
        "latency_ms_p95": found[round(0.95 * (len(found) - 1))],
        "latency_ms_max": found[-1],
        **storm(client, page, wire, active),
        **idle(client, page, wire),
        **memory(notebook),
    }
    page.close()
    return results


TARGETS = {
    "latency_ms_p95": 700.0,
    "messages_per_second": 2.6,
    "idle_messages_per_second": 0.0,
    "idle_commands_per_second": 5.0,
}


def main() -> None:
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = measure(base, stack)
    print(f"Python {platform.python_version()} on {platform.machine()}")
    for name, value in results.items():
        target = TARGETS.get(name)
        wanted = "" if target is None else f"   (target: at most {target:g})"
        print(f"{name:32} {value:12.1f}{wanted}")
    print(json.dumps({name: round(value, 2) for name, value in results.items()}))


if __name__ == "__main__":
    main()
