"""Panels that are run again, closed, orphaned, saved: nothing leaks, nothing lies."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from tests.browser.conftest import SCREENSHOTS
from tests.helpers.chromium import new_context
from tests.helpers.panel_probe import wait_until

CELL = """
from myia_sdk import Client, Settings
if "lasting" not in globals():
    lasting = Client(Settings(certification_queue_name="{queue}"))
panel = lasting.monitor()
panel
"""
COUNT = """
import threading
from ipywidgets.widgets.widget import _instances
from myia_sdk.panels.live import LiveFeed
names = [t.name for t in threading.enumerate() if t.name.startswith("myia")]
pool = lasting.queue.redis.connection_pool
connections = len(pool._available_connections) + len(pool._in_use_connections)
print(len(_instances), len(names), LiveFeed.open_feeds(), connections)
"""
#: Keeps the kernel busy, with new data each second, until a file is there.
BUSY = """
import time
from pathlib import Path
from myia_sdk.queue.jobs.job import NewJob
end = time.monotonic() + 250
while not Path({path!r}).exists() and time.monotonic() < end:
    lasting.queue.add(NewJob(name="certify", labels={{"model": "busy"}}))
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def queue() -> str:
    return f"t{uuid4().hex[:8]}"


def counts(notebook) -> list[int]:
    return [int(word) for word in notebook.execute(COUNT).split()]


def test_a_hundred_reruns_of_the_cell_leak_nothing(notebook, queue):
    from playwright.sync_api import expect

    page = notebook.page
    notebook.run(CELL.format(queue=queue))
    page.locator(".myia-root table").wait_for()
    before = counts(notebook)
    page.evaluate(
        """async () => {
            for (let i = 0; i < 100; i += 1) {
                await window.jupyterapp.commands.execute('notebook:run-all-cells');
            }
        }"""
    )
    expect(page.locator(".myia-root")).to_have_count(1)
    page.locator(".myia-root table").wait_for()

    def leaks_nothing() -> bool:
        widgets, threads, feeds, connections = counts(notebook)
        return (
            (widgets, feeds) == (before[0], before[2])
            and threads <= before[1] + 1
            and connections <= before[3] + 2
        )

    # The last of the closed panels' threads may still be ending.
    wait_until(leaks_nothing)


def test_a_busy_kernel_is_told_and_live_data_go_on(notebook, queue, tmp_path):
    from playwright.sync_api import expect

    page, is_seen = notebook.page, tmp_path / "seen"
    notebook.run(CELL.format(queue=queue))
    page.locator(".myia-root table").wait_for()
    page.evaluate(
        """(code) => {
            const session = window.jupyterapp.shell.currentWidget.context
                .sessionContext.session;
            session.kernel.requestExecute({code});
        }""",
        BUSY.format(path=str(is_seen)),
    )
    notices = page.locator(".myia-notices")
    try:
        expect(page.locator(".myia-root tbody")).to_contain_text("busy")
        expect(notices).to_contain_text("kernel is busy")
    finally:
        is_seen.touch()
    expect(notices).not_to_contain_text("kernel is busy")


def test_close_leaves_a_readable_copy(notebook, queue):
    from playwright.sync_api import expect

    page = notebook.page
    notebook.run(CELL.format(queue=queue))
    page.locator(".myia-root table").wait_for()
    feeds = counts(notebook)[2]
    notebook.execute("panel.close()")
    output = page.locator(".jp-OutputArea-output").first
    expect(output).to_contain_text("Static copy")
    expect(page.locator(".myia-root")).to_have_count(0)
    assert counts(notebook)[2] == feeds - 1


def test_a_saved_notebook_shows_the_table_without_a_kernel(notebook, queue, lab):
    from playwright.sync_api import expect

    page = notebook.page
    notebook.run(CELL.format(queue=queue))
    page.locator(".myia-root table").wait_for()
    # Where the first load took long, the copy comes after the table.
    copy = page.locator(".myia-static").filter(has_text="As of 20")
    copy.first.wait_for(state="attached")
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    saved = json.loads((lab.root / notebook.name).read_text())
    outputs = saved["cells"][0]["outputs"]
    html = "".join("".join(one["data"].get("text/html", "")) for one in outputs)
    assert "As of 20" in html
    assert "<table>" in html
    assert "<script" not in html
    (lab.root / "reopened.ipynb").write_text(json.dumps(saved))
    browser = page.context.browser
    context = new_context(browser, viewport={"width": 1000, "height": 800})
    reopened = context.new_page()
    reopened.goto(f"{lab.url}doc/tree/reopened.ipynb?reset&token={lab.token}")
    reopened.locator(".jp-OutputArea").first.wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    reopened.screenshot(path=str(SCREENSHOTS / "reopened.png"))
    expect(reopened.locator(".jp-OutputArea").first).to_contain_text("Static copy")
    context.close()


def test_a_restarted_kernel_makes_the_panel_say_that_it_is_stale(notebook, queue):
    from playwright.sync_api import expect

    page = notebook.page
    notebook.run(CELL.format(queue=queue))
    page.locator(".myia-root table").wait_for()
    page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.context.sessionContext
            .session.kernel.restart()"""
    )
    notices = page.locator(".myia-notices")
    expect(notices).to_contain_text("Stale")
    notebook.screenshot("stale")
