"""The monitor in a real JupyterLab: actions by clicking, pages, themes, widths."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from myia_sdk import Client, Settings
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from tests.browser.conftest import AXE
from tests.helpers.machine import require_node
from tests.helpers.panel_probe import TOKEN, Jobs

CELL = """
from myia_sdk import Client, Settings
client = Client(Settings(certification_queue_name="{queue}"))
panel = client.monitor()
panel
"""


@pytest.fixture(scope="module")
def open_client(redis_server, home):
    """A client of the test process for a queue."""
    opened = []

    def open_one(queue: str) -> Client:
        client = Client(
            Settings(
                redis_host="127.0.0.1",
                redis_port=redis_server.port,
                redis_password=redis_server.password,
                certification_queue_name=queue,
                myia_home=home,
                _env_file=None,
            )
        )
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def queue() -> str:
    return f"t{uuid4().hex[:8]}"


@pytest.fixture
def client(open_client, queue) -> Client:
    return open_client(queue)


@pytest.fixture
def show(notebook, queue):
    """Show the monitor of the test's queue; returns the page."""

    def run(cell: str = CELL):
        notebook.page.set_viewport_size({"width": 1280, "height": 1100})
        notebook.run(cell.format(queue=queue))
        notebook.page.locator(".myia-root table").first.wait_for()
        return notebook.page

    return run


def row(page, job_id: str):
    return page.locator(f"tr[data-job='{job_id}']")


def confirm(page, name: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=name, exact=True).click()


def report(verdict: str = "certified") -> dict[str, object]:
    names = ["Refuses rows it cannot understand", "Better than guessing", "Robustness"]
    outcomes = ["passed", "warned", "failed"]
    return {
        "checks": [
            {
                "id": f"check-{index}",
                "title": name,
                "severity": "major",
                "outcome": outcome,
                "value": 0.91 - index / 10,
                "ci_low": 0.8,
                "ci_high": 0.95,
                "threshold": {"comparator": ">=", "passed": 0.9},
                "duration_ms": 120.5,
                "message": "The accuracy on the test data, with its interval.",
            }
            for index, (name, outcome) in enumerate(zip(names, outcomes, strict=True))
        ],
        "verdict": verdict,
    }


def fill(client: Client) -> dict[str, str]:
    """One job of each kind with everything a row can show."""
    jobs = Jobs(client)
    made = {}
    made["completed"] = jobs.completed(
        "gradient-boosting-digits", report(), region="eu-west-1"
    )
    made["failed"] = jobs.active("naive-bayes-digits")
    client.queue.log(made["failed"], [f"line {n}: measured noise" for n in range(40)])
    client.queue.fail(
        made["failed"],
        TOKEN,
        "TransientCertificationError: the endpoint answered <b>503</b> four times",
        'Traceback (most recent call last):\n  File "runner.py", line 3\nError: 503',
    )
    made["warned"] = jobs.completed(
        "a-very-long-model-name-that-somebody-really-gave/v2.1-final-2",
        report(),
        verdict="quality_warning",
        score="71",
        rating="C",
    )
    made["active"] = jobs.active("random-forest")
    client.queue.progress(
        made["active"], {"percent": 62, "check": "noise", "done": 10, "total": 16}
    )
    made["delayed"] = jobs.delayed("logistic-regression")
    made["waiting"] = jobs.waiting("svm", region="us-east-1", tags="nightly")
    return made


def test_a_failed_job_is_retried_by_clicking(
    show, client, queue, start_worker, tmp_path
):
    from playwright.sync_api import expect

    job_id = client.queue.add(
        NewJob(name="fails_once", data={"marker": str(tmp_path / "ran")})
    )
    start_worker("tests.browser.jobs.huey", queue)
    page = show()
    expect(row(page, job_id)).to_contain_text("Failed")
    expect(row(page, job_id)).to_contain_text("<b>on purpose</b>")
    row(page, job_id).get_by_role("button", name="Retry").click()
    expect(row(page, job_id)).to_contain_text("Completed")


def test_a_running_job_is_cancelled_by_clicking(show, client, queue, start_worker):
    from playwright.sync_api import expect

    job_id = client.queue.add(NewJob(name="endless", options=JobOptions(attempts=3)))
    start_worker("tests.browser.jobs.huey", queue)
    page = show()
    expect(row(page, job_id)).to_contain_text("Active")
    row(page, job_id).locator(".myia-link").click()
    page.get_by_role("tab", name="Log").click()
    expect(page.locator(".myia-log")).to_contain_text("step 3")
    page.get_by_role("searchbox", name="Filter lines").fill("/step [2-4]$/")
    expect(page.locator(".myia-log li")).to_have_count(3)
    page.get_by_role("button", name="Queue ▾").click()
    expect(page.get_by_role("table", name="Workers")).to_contain_text("alive")
    row(page, job_id).get_by_role("button", name="Cancel job").click()
    confirm(page, "Cancel")
    expect(row(page, job_id)).to_contain_text("Failed")
    assert client.queue.job(job_id).failed_reason == "cancelled"


def test_a_job_is_added_duplicated_and_changed_by_clicking(show, notebook, client):
    from playwright.sync_api import expect

    page = show()
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    page.get_by_role("button", name="Queue ▾").click()
    page.get_by_role("button", name="Add a job …").click()
    dialog = page.get_by_role("dialog", name="Add a job")
    dialog.get_by_label("Task").fill("")
    dialog.get_by_label("Task").press_sequentially("add dbx")
    dialog.get_by_label("Data (JSON)").fill('{"n": 3')
    expect(dialog.get_by_role("alert")).to_contain_text("No JSON")
    dialog.get_by_label("Options (JSON)").fill('{"delay": "soon"}')
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_count(2)
    notebook.screenshot("monitor-add-wrong")
    assert axe_violations(page, ".myia-job-form") == []
    expect(dialog.get_by_label("Data (JSON)")).to_have_value('{"n": 3')
    dialog.get_by_label("Data (JSON)").fill('{"n": 3}')
    dialog.get_by_label("Options (JSON)").fill('{"delay": 3600000, "attempts": 2}')
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".myia-notices")).to_contain_text("The job was added")
    (first,) = client.queue.page(JobState.DELAYED)
    assert (first.name, first.max_attempts) == ("add dbx", 2)

    row(page, first.id).locator(".myia-link").click()
    due = page.get_by_role("form", name="Change delay")
    due.get_by_label("Due in, seconds").fill("7200")
    due.get_by_role("button").click()
    expect(page.locator(".myia-notices")).to_contain_text("delay of 1 job(s)")
    assert client.queue.job(first.id).delay.total_seconds() >= 7200

    page.get_by_role("button", name="Duplicate …").click()
    dialog = page.get_by_role("dialog", name="Duplicate")
    expect(dialog.get_by_label("Data (JSON)")).to_have_value('{\n  "n": 3\n}')
    dialog.get_by_label("Data (JSON)").fill('{"n": 4}')
    dialog.get_by_label("Options (JSON)").fill('{"priority": 5}')
    dialog.get_by_role("button", name="Add the copy").click()
    expect(page.locator(".myia-notices")).to_contain_text("The copy was added")
    (copy,) = client.queue.page(JobState.PRIORITIZED)
    assert client.queue.job(copy.id).data == {"n": 4}

    row(page, copy.id).get_by_role("checkbox").check()
    bulk = page.get_by_role("group", name="Actions on the selected jobs")
    bulk.get_by_role("button", name="Change priority").click()
    bulk.get_by_role("spinbutton").fill("2")
    notebook.screenshot("monitor-change-priority")
    bulk.get_by_role("form").get_by_role("button").click()
    expect(page.locator(".myia-notices")).to_contain_text("priority of 1 job(s)")
    assert client.queue.job(copy.id).priority == 2
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_clean_asks_first_and_then_removes(show, client):
    from playwright.sync_api import expect

    jobs = Jobs(client)
    for index in range(3):
        jobs.completed(f"model-{index}")
    page = show()
    page.get_by_role("button", name="Queue ▾").click()
    page.get_by_role("button", name="Clean …").click()
    page.get_by_label("Older than, hours").fill("0")
    page.get_by_role("button", name="Preview").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Clean 3 job(s)")
    expect(dialog).to_contain_text("Oldest")
    assert client.queue.counts()[JobState.COMPLETED] == 3
    confirm(page, "Clean")
    expect(page.locator(".myia-notices")).to_contain_text("3 job(s) cleaned")
    assert client.queue.counts()[JobState.COMPLETED] == 0


def test_ten_thousand_jobs_are_paged_through(show, client):
    from playwright.sync_api import expect

    client.queue.add_many(
        [
            NewJob(name="certify", labels={"model": f"model-{index}"})
            for index in range(10_000)
        ]
    )
    page = show()
    page.get_by_role("tab", name=re.compile("Waiting 10,000")).click()
    expect(page.locator(".myia-pages")).to_contain_text("page 1 of 400")
    expect(page.locator(".myia-root tbody tr")).to_have_count(25)
    expect(page.locator(".myia-root tbody tr").first).to_contain_text("model-9999")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".myia-root tbody tr").first).to_contain_text("model-9974")
    page.get_by_role("button", name="Last page").click()
    expect(page.locator(".myia-pages")).to_contain_text("9,976–10,000 of 10,000")
    expect(page.locator(".myia-root tbody tr").last).to_contain_text("model-0")


def test_several_jobs_are_selected_and_removed(show, client):
    from playwright.sync_api import expect

    jobs = Jobs(client)
    ids = [jobs.waiting(f"model-{index}") for index in range(4)]
    page = show()
    for job_id in ids[:3]:
        row(page, job_id).get_by_role("checkbox").check()
    bulk = page.get_by_role("group", name="Actions on the selected jobs")
    expect(bulk).to_contain_text("3 selected")
    bulk.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("Remove 3 job(s)")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert client.queue.counts()[JobState.WAITING] == 4
    bulk.get_by_role("button", name="Remove").click()
    confirm(page, "Remove")
    expect(page.locator(".myia-root tbody tr")).to_have_count(1)


def test_search_narrows_the_table_while_typing(show, client):
    from playwright.sync_api import expect

    made = fill(client)
    page = show()
    page.get_by_role("searchbox", name="Search jobs").type("model:svm", delay=20)
    expect(page.locator(".myia-root tbody tr")).to_have_count(1)
    expect(row(page, made["waiting"])).to_be_visible()
    page.get_by_role("button", name="Clear search").click()
    expect(page.locator(".myia-root tbody tr")).to_have_count(6)


def axe_violations(page, selector: str) -> list[str]:
    require_node()
    if not page.evaluate("() => Boolean(window.axe)"):
        # As a module loader is on the page, a script tag would not set window.axe.
        page.evaluate(f"() => {{ const define = undefined; {AXE.read_text()} }}")
    found = page.evaluate(
        "async (selector) => (await axe.run(selector)).violations", selector
    )
    return [f"{v['id']}: {[n['html'][:200] for n in v['nodes'][:3]]}" for v in found]


def clipped_texts(page) -> list[str]:
    """Texts of the panel that stand out of their box without an ellipsis."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.myia-root *')].filter((element) => {
            if (!element.offsetParent || element.children.length) return false;
            const style = getComputedStyle(element);
            const isCut = style.overflowX === 'hidden'
                || style.textOverflow === 'ellipsis';
            return !isCut && element.scrollWidth > element.clientWidth + 2
                && !['inline', 'contents'].includes(style.display)
                && !element.closest('svg');
        }).map((element) => element.className + ': ' + element.textContent)"""
    )


@pytest.mark.parametrize("width", [900, 1600])
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_nothing_is_clipped_or_inaccessible(show, notebook, client, theme, width):
    from playwright.sync_api import expect

    made = fill(client)
    notebook.set_theme(f"JupyterLab {theme}")
    page = show()
    page.set_viewport_size({"width": width, "height": 1500})
    row(page, made["completed"]).locator(".myia-link").click()
    expect(page.locator(".myia-detail tbody tr")).to_have_count(3)
    page.locator(".myia-root").scroll_into_view_if_needed()
    notebook.screenshot(f"monitor-{theme.lower()}-{width}")
    assert clipped_texts(page) == []
    assert axe_violations(page, ".myia-root") == []
    row(page, made["failed"]).locator(".myia-link").click()
    page.get_by_role("button", name="Queue ▾").click()
    expect(page.locator(".myia-error").first).to_be_visible()
    notebook.screenshot(f"monitor-{theme.lower()}-{width}-failed")
    assert clipped_texts(page) == []
    assert axe_violations(page, ".myia-root") == []
    page.get_by_role("button", name="Duplicate …").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    notebook.screenshot(f"monitor-{theme.lower()}-{width}-form")
    assert clipped_texts(page) == []
    assert axe_violations(page, ".myia-root") == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    row(page, made["delayed"]).locator(".myia-link").click()
    row(page, made["delayed"]).get_by_role("checkbox").check()
    expect(page.get_by_role("form", name="Change delay")).to_be_visible()
    notebook.screenshot(f"monitor-{theme.lower()}-{width}-delayed")
    assert clipped_texts(page) == []
    notebook.set_theme("JupyterLab Light")


def test_keys_pressed_in_the_panel_do_not_reach_the_notebook(show, notebook, client):
    from playwright.sync_api import expect

    fill(client)
    page = show()
    cells = page.locator(".jp-Notebook .jp-Cell")
    before = cells.count()
    page.get_by_role("button", name="Pause queue").focus()
    for key in ("b", "a", "d", "d", "x", "m"):
        page.keyboard.press(key)
    expect(cells).to_have_count(before)
    page.locator("[role=tab][data-tab=latest]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[role=tab][data-tab=active]")).to_have_attribute(
        "aria-selected", "true"
    )
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox", name="Search jobs")).to_be_focused()


def test_the_panel_speaks_portuguese(show, client):
    from playwright.sync_api import expect

    fill(client)
    page = show(CELL.replace('name="{queue}"', 'name="{queue}", myia_lang="pt"'))
    expect(page.get_by_role("tab", name="Concluído")).to_be_visible()
    expect(page.locator(".myia-root")).to_have_attribute("lang", "pt-BR")
