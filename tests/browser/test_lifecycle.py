"""Panels that are run again, closed, orphaned, saved: nothing leaks, nothing lies."""

from __future__ import annotations

import json
import re
from uuid import uuid4

import pytest

from tests.browser.conftest import SCREENSHOTS

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


@pytest.fixture(scope="module")
def queue() -> str:
    return f"t{uuid4().hex[:8]}"


def counts(notebook) -> list[int]:
    return [int(word) for word in notebook.execute(COUNT).split()]


def test_a_hundred_reruns_of_the_cell_leak_nothing(notebook, queue):
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
    page.locator(".myia-root table").wait_for()
    widgets, threads, feeds, connections = counts(notebook)
    assert (widgets, feeds) == (before[0], before[2])
    assert threads <= before[1] + 1
    assert connections <= before[3] + 2
    assert page.locator(".myia-root").count() == 1
    # anywidget complains about models that were closed before they were drawn.
    theirs = re.compile(
        r"\[anywidget\] Failed to initialize model\."
        r"(\n.*|\s+at .*/lab/extensions/anywidget/.*)*"
    )
    notebook.errors = [one for one in notebook.errors if not theirs.fullmatch(one)]


def test_a_busy_kernel_is_told_and_live_data_go_on(notebook, queue):
    from playwright.sync_api import expect

    page = notebook.page
    notebook.run(CELL.format(queue=queue))
    page.locator(".myia-root table").wait_for()
    submit = (
        "import time\nfrom myia_sdk.queue.job import NewJob\nend = time.time() + 14\n"
        "job_id = lasting.queue.add(NewJob(name='certify', labels={'model': 'busy'}))\n"
        "while time.time() < end: time.sleep(0.1)"
    )
    page.evaluate(
        """(code) => {
            const session = window.jupyterapp.shell.currentWidget.context
                .sessionContext.session;
            session.kernel.requestExecute({code});
        }""",
        submit,
    )
    expect(page.locator(".myia-root tbody")).to_contain_text("busy", timeout=8_000)
    notices = page.locator(".myia-notices")
    expect(notices).to_contain_text("kernel is busy", timeout=12_000)
    expect(notices).not_to_contain_text("kernel is busy", timeout=20_000)


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
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    saved = json.loads((lab.root / notebook.name).read_text())
    outputs = saved["cells"][0]["outputs"]
    html = "".join("".join(one["data"].get("text/html", "")) for one in outputs)
    assert "As of 20" in html
    assert "<table>" in html
    assert "<script" not in html
    (lab.root / "reopened.ipynb").write_text(json.dumps(saved))
    context = page.context.browser.new_context(viewport={"width": 1000, "height": 800})
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
    expect(notices).to_contain_text("Stale", timeout=25_000)
    notebook.screenshot("stale")
