"""The main story: a model is submitted by clicking and its job is seen to complete."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.helpers.suites import OWN_SUITE

CELL = """
%reset -f
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from myia_sdk import Client, Settings

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = LogisticRegression(max_iter=500).fit(X_train, y_train)
client = Client(Settings(certification_queue_name="{queue}"))
client.submit_panel()
"""


@pytest.fixture(scope="module")
def queue() -> str:
    return f"t{uuid4().hex}"


def test_a_model_submitted_by_clicking_is_seen_to_complete(
    notebook, start_worker, queue
):
    from playwright.sync_api import expect

    start_worker("myia_sdk.worker.huey", queue)
    notebook.run(CELL.format(queue=queue))
    page = notebook.page
    expect(page.locator(".myia-suite table")).to_be_visible()
    notebook.screenshot("submit-form")
    page.locator(".myia-submit").click()
    message = page.locator(".myia-message-line")
    expect(message).to_contain_text("Submitted")
    page.locator(".myia-watch").click()
    detail = page.locator(".myia-detail")
    expect(detail).to_be_visible()
    timeline = detail.locator(".myia-timeline")
    expect(timeline).to_contain_text("Completed")
    expect(detail.locator(".myia-table tbody tr")).not_to_have_count(0)
    detail.scroll_into_view_if_needed()
    detail.evaluate("(element) => element.scrollIntoView({block: 'end'})")
    notebook.screenshot("submit-completed")


OWN_SUITE_CELL = """
%reset -f
from pathlib import Path
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from myia_sdk import Client, Settings

Path("mine.toml").write_text({suite!r})
X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(X, y)
client = Client(Settings(certification_queue_name="{queue}"))
client.submit_panel()
"""


def test_a_suite_of_ones_own_shows_its_checks(notebook, queue):
    from playwright.sync_api import expect

    notebook.run(OWN_SUITE_CELL.format(queue=queue, suite=OWN_SUITE))
    page = notebook.page
    path = page.get_by_label("Path of the suite's file")
    expect(page.locator(".myia-suite table")).to_be_visible()
    expect(path).to_be_hidden()
    page.get_by_label("Suite", exact=True).select_option(
        "A suite of your own (TOML file)"
    )
    expect(path).to_be_visible()
    path.fill("mine.toml")
    path.press("Tab")
    expect(page.locator(".myia-suite")).to_contain_text("Checks of mine")
    expect(page.locator(".myia-suite tbody tr")).to_have_count(1)
    notebook.screenshot("submit-own-suite")
