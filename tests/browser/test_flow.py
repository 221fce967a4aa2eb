"""Flows, schedulers and the rate of updates, clicked through on the served board."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from myia_sdk.queue.jobs import JobOptions, NewJob
from tests.browser.conftest import SCREENSHOTS
from tests.browser.serving import serving
from tests.browser.test_monitor import axe_violations, clipped_texts
from tests.helpers.panel_probe import Jobs


@pytest.fixture
def other(redis_server, home, tmp_path, new_page):
    """Page and client of a served board whose queue is the test's own."""
    from myia_sdk import Client, Settings

    queue = f"flow-{uuid4().hex[:8]}"
    settings = Settings(
        redis_host="127.0.0.1",
        redis_port=redis_server.port,
        redis_password=redis_server.password,
        certification_queue_name=queue,
        myia_home=home,
        _env_file=None,
    )
    errors = []
    with (
        Client(settings) as client,
        serving(redis_server, home, queue, tmp_path) as url,
    ):
        page = new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page, client
    assert errors == []


def test_schedulers_are_changed_and_run_by_clicking(other):
    from playwright.sync_api import expect

    page, client = other
    client.scheduling.upsert(
        "nightly", pattern="0 3 * * *", limit=9, template=NewJob(name="certify")
    )
    page.get_by_role("button", name="Queue ▾").click()
    table = page.get_by_role("table", name="Schedulers")
    expect(table).to_contain_text("0 3 * * *")
    page.get_by_role("button", name="Change: nightly").click()
    form = page.get_by_role("form", name="When nightly runs")
    form.get_by_label("Rule").select_option("seconds")
    form.get_by_role("textbox").fill("7200")
    assert axe_violations(page, "body") == []
    assert clipped_texts(page) == []
    page.screenshot(path=str(SCREENSHOTS / "served-scheduler.png"))
    form.get_by_role("button", name="Save").click()
    expect(table).to_contain_text("2:00:00")
    expect(form).to_have_count(0)
    assert client.scheduling.get("nightly").timetable.every == timedelta(hours=2)
    before = sum(client.queue.counts().values())
    page.get_by_role("button", name="Run now: nightly").click()
    expect(page.locator(".myia-notices")).to_contain_text("nightly was added: ")
    assert sum(client.queue.counts().values()) == before + 1
    expect(page.get_by_role("region", name="Redis")).to_contain_text("noeviction")


def make_flow(client) -> tuple[str, str, str]:
    """A report in another queue that waits for a job, which waits for two."""
    from myia_sdk.queue.store import JobStore

    queue = client.queue
    reports = JobStore(queue.redis, f"{queue.queue}-reports")
    later = JobOptions(delay=timedelta(hours=1))
    report = reports.add(NewJob(name="weekly-report", options=later))
    data = {
        "note": "<b>bold</b>" + "x" * 400,
        "rows": list(range(150)),
        "big": 2**63,
        "a": {"b": {"c": {"d": "deep"}}},
    }
    middle = queue.add(
        NewJob(
            name="all-regions",
            data=data,
            options=later,
            parent_key=reports.keys.job(report),
        )
    )
    leaf, _ = (
        queue.add(
            NewJob(
                name="certify",
                labels={"model": f"forest-{region}"},
                parent_key=queue.keys.job(middle),
            )
        )
        for region in ("eu", "us")
    )
    return report, middle, leaf


@pytest.mark.parametrize(("width", "theme"), [(900, "dark"), (1600, "light")])
def test_the_flow_of_a_job_is_followed_by_clicking(other, width, theme):
    from playwright.sync_api import expect

    page, client = other
    report, middle, leaf = make_flow(client)
    page.set_viewport_size({"width": width, "height": 1300})
    if theme == "dark":
        page.get_by_role("button", name="Theme").click()
    page.locator(f"tr[data-job='{leaf}'] .myia-link").click()
    page.get_by_role("tab", name="Flow").click()
    flow = page.locator(".myia-flow")
    expect(flow.locator(".myia-flow-node")).to_have_count(4)
    expect(flow).to_contain_text(f"queue {client.queue.queue}-reports")
    expect(flow.get_by_role("button", name=report)).to_have_count(0)
    page.screenshot(path=str(SCREENSHOTS / f"served-flow-{width}.png"))
    assert axe_violations(page, "body") == []
    assert clipped_texts(page) == []
    flow.get_by_role("button", name=middle).press("Enter")
    expect(page.locator(".myia-detail h3")).to_contain_text("all-regions")
    expect(flow.locator("[aria-current=true]")).to_be_focused()
    expect(page).to_have_url(re.compile(f"#monitor/{middle}"))
    page.locator(".myia-family").get_by_role("button", name=leaf).click()
    expect(page.locator(".myia-detail h3")).to_contain_text("forest-eu")
    page.goto(f"{page.url.partition('#')[0]}#monitor/{middle}?tab=delayed&q=all")
    expect(page.locator(".myia-detail h3")).to_contain_text("all-regions")
    expect(page.locator("tr[data-job]")).to_have_count(1)
    page.get_by_role("tab", name="Data").click()
    see_the_data(page)


def see_the_data(page) -> None:
    """Open, enlarge and read the tree of the job's data, by keys alone."""
    from playwright.sync_api import expect

    tree = page.get_by_role("group", name="Data", exact=True)
    expect(tree).to_contain_text("<b>bold</b>")
    expect(tree).to_contain_text(str(2**63))
    expect(tree).not_to_contain_text("deep")
    tree.locator("summary", has_text="c: ").press("Enter")
    expect(tree).to_contain_text("deep")
    rows = tree.locator("details", has=page.locator("summary", has_text="rows: "))
    expect(rows.last.locator("li")).to_have_count(101)
    tree.get_by_role("button", name="Show 50 more of 150").press("Enter")
    expect(rows.last.locator("li")).to_have_count(150)
    tree.get_by_role("button", name="Show all 411 characters").press("Enter")
    expect(tree).to_contain_text("x" * 400)
    assert axe_violations(page, "body") == []


def test_the_rate_of_updates_is_kept_and_off_says_so(other):
    from playwright.sync_api import expect

    page, client = other
    expect(page.locator(".myia-root")).to_contain_text("No jobs yet")
    page.get_by_label("Updates").select_option("off")
    notices = page.locator(".myia-notices")
    expect(notices).to_contain_text("Updates are off; as of")
    job_id = Jobs(client).waiting()
    row = page.locator(f"tr[data-job='{job_id}']")
    expect(row).to_have_count(0)
    notices.get_by_role("button", name="Refresh").click()
    expect(row).to_have_count(1)
    page.reload()
    expect(notices).to_contain_text("Updates are off; as of")
    expect(page.get_by_label("Updates")).to_have_value("0")
    page.get_by_label("Updates").select_option("every 2 s")
    expect(notices).not_to_contain_text("Updates are off")
    other_id = Jobs(client).waiting()
    expect(page.locator(f"tr[data-job='{other_id}']")).to_have_count(1)
