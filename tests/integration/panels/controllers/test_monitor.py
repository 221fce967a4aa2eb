from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from myia_sdk.panels.controllers import search
from myia_sdk.panels.controllers.monitor import MonitorController
from myia_sdk.panels.controllers.search import SCAN_LIMIT
from myia_sdk.panels.live import Changes, ControllerOptions
from myia_sdk.panels.live.patches import apply
from myia_sdk.panels.permissions import Action, ActionRefusedError, Permissions
from myia_sdk.queue.jobs import JobState, NewJob
from tests.helpers.panel_probe import *  # noqa: F403
from tests.helpers.panel_probe import TOKEN


@pytest.fixture
def monitor(client):
    controller = MonitorController(client.connection)
    controller.load()
    return controller


def confirm(controller) -> None:
    controller.handle({"event": "confirm", "token": controller.dialog["token"]})


def test_counts_and_rows_of_every_state(client, jobs, monitor):
    wanted = {
        "completed": jobs.completed(),
        "failed": jobs.failed(),
        "active": jobs.active(),
        "delayed": jobs.delayed(),
        "waiting": jobs.waiting(),
    }
    monitor.load()
    state = monitor.snapshot()
    assert {name: state["counts"][name] for name in wanted} == dict.fromkeys(wanted, 1)
    assert {row["state"]: job_id for job_id, row in state["rows"].items()} == wanted
    for name, job_id in wanted.items():
        monitor.handle({"event": "tab", "tab": name})
        assert monitor.snapshot()["order"] == [job_id]


def test_a_row_tells_verdict_reason_attempt_and_worker(jobs, monitor):
    done, bad, running = jobs.completed(), jobs.failed(), jobs.active()
    monitor.load()
    rows = monitor.snapshot()["rows"]
    assert (rows[done]["verdict"], rows[done]["score"]) == ("certified", 93.5)
    assert rows[bad]["reason"] == "ValueError: no"
    assert (rows[running]["attempt"], rows[running]["max_attempts"]) == (1, 2)
    assert rows[running]["worker"] == "worker-1"


def test_progress_events_load_only_their_rows_and_send_only_what_changed(
    client, jobs, monitor
):
    first, second = jobs.active("one"), jobs.active("two")
    monitor.load()
    monitor.diff()
    client.queue.progress(
        first, {"percent": 40, "check": "noise", "done": 2, "total": 5}
    )
    monitor.apply(Changes(progress={first: ['{"percent": 40}']}))
    operations = monitor.diff()
    paths = {tuple(path) for _, path, *_ in operations}
    assert paths == {("rows", first, "progress"), ("rows", first, "step")}
    assert monitor.snapshot()["rows"][second]["progress"] == 0


def test_differences_rebuild_the_snapshot(jobs, monitor):
    state = monitor.snapshot()
    monitor.diff()
    for make in (jobs.waiting, jobs.delayed, jobs.completed, jobs.failed):
        make()
        monitor.apply(Changes(moved={"x"}))
        state = apply(state, monitor.diff())
    assert state == monitor.snapshot()


def test_pages_of_25_in_both_orders(client, jobs, monitor):
    ids = [jobs.waiting(f"model-{index}") for index in range(60)]
    monitor.handle({"event": "tab", "tab": "waiting"})
    state = monitor.snapshot()
    assert (state["pages"], state["total"], len(state["order"])) == (3, 60, 25)
    assert state["order"] == ids[::-1][:25]
    monitor.handle({"event": "page", "page": 2})
    assert monitor.snapshot()["order"] == ids[::-1][50:]
    monitor.handle({"event": "order", "newest_first": False})
    assert monitor.snapshot()["order"] == ids[:25]
    monitor.handle({"event": "page", "page": 999})
    assert monitor.snapshot()["page"] == 2


@pytest.mark.parametrize("query", ["tree", "model:tree", "suite:classifier tree"])
def test_search_by_words_and_labels(jobs, monitor, query):
    jobs.waiting("forest")
    wanted = jobs.waiting("tree-7")
    monitor.handle({"event": "search", "query": query})
    assert monitor.snapshot()["order"] == [wanted]
    monitor.handle({"event": "search", "query": ""})
    assert len(monitor.snapshot()["order"]) == 2


@pytest.mark.parametrize("word", ["rare-model", "someone@host"])
def test_a_word_finds_a_label_of_its_value_however_old_the_job(
    client, jobs, monitor, word
):
    wanted = jobs.waiting("rare-model", submitter="someone@host")
    client.queue.add_many([NewJob(name="certify")] * (SCAN_LIMIT + 100))
    monitor.handle({"event": "search", "query": word})
    assert monitor.snapshot()["order"] == [wanted]


@pytest.mark.parametrize("word", ["boom", "forest"])
def test_words_found_at_the_limit_of_an_index_may_not_be_all(
    jobs, monitor, monkeypatch, word
):
    monkeypatch.setattr(search, "WORD_LIMIT", 2)
    ids = [jobs.failed("forest", "boom")]
    monitor.handle({"event": "search", "query": word})
    assert not monitor.snapshot()["is_truncated"]
    ids += [jobs.failed("forest", "boom"), jobs.failed("forest", "boom")]
    monitor.handle({"event": "search", "query": word})
    state = monitor.snapshot()
    assert (set(state["order"]), state["is_truncated"]) == (set(ids), True)


def test_search_by_id_finds_a_job_in_any_state(jobs, monitor):
    jobs.waiting()
    wanted = jobs.failed()
    monitor.handle({"event": "search", "query": f" {wanted} "})
    assert monitor.snapshot()["order"] == [wanted]


def test_search_in_a_tab_stays_in_its_state(jobs, monitor):
    jobs.failed("tree")
    waiting = jobs.waiting("tree")
    monitor.handle({"event": "tab", "tab": "waiting"})
    monitor.handle({"event": "search", "query": "tree"})
    assert monitor.snapshot()["order"] == [waiting]


def test_details_of_a_failed_job(client, jobs, monitor):
    job_id = jobs.active()
    client.queue.log(job_id, ["first", "second"])
    client.queue.fail(job_id, TOKEN, "ValueError: <b>no</b>", "Traceback\nline")
    monitor.handle({"event": "open", "id": job_id})
    detail = monitor.snapshot()["detail"]
    assert [step["what"] for step in detail["timeline"]] == [
        "created",
        "started",
        "failed",
    ]
    assert detail["log"] == {"lines": ["first", "second"], "total": 2}
    assert detail["error"]["reason"] == "ValueError: <b>no</b>"
    assert detail["error"]["stacktrace"] == ["Traceback\nline"]
    assert '"attempts": 2' in detail["options"]


def test_the_log_of_a_running_job_is_followed_by_ticks(client, jobs, monitor):
    job_id = jobs.active()
    client.queue.log(job_id, ["one"])
    monitor.handle({"event": "open", "id": job_id})
    monitor.diff()
    client.queue.log(job_id, ["two"])
    assert monitor.tick_interval() == 1.0
    monitor.tick()
    assert monitor.diff() == [
        ["add", ["detail", "log", "lines"], ["two"]],
        ["set", ["detail", "log", "total"], 2],
    ]


def test_checks_appear_as_they_finish(client, jobs, monitor):
    job_id = jobs.active()
    monitor.handle({"event": "open", "id": job_id})
    texts = [
        '{"percent": 10, "check": "noise", "outcome": "passed"}',
        '{"percent": 20, "check": "bias", "outcome": "failed"}',
    ]
    monitor.apply(Changes(progress={job_id: texts}))
    checks = monitor.snapshot()["detail"]["checks"]
    assert [(check["id"], check["outcome"]) for check in checks] == [
        ("noise", "passed"),
        ("bias", "failed"),
    ]


def test_checks_that_finished_before_anybody_looked_are_shown(client, jobs, monitor):
    other, job_id = jobs.active("other"), jobs.active()
    for one, check in ((job_id, "noise"), (other, "else"), (job_id, "bias")):
        client.queue.progress(one, {"percent": 5, "check": check, "outcome": "passed"})
    monitor.handle({"event": "open", "id": job_id})
    checks = monitor.snapshot()["detail"]["checks"]
    assert [check["id"] for check in checks] == ["noise", "bias"]
    client.queue.fail(job_id, TOKEN, "TimeoutError: too slow")
    monitor.apply(Changes(moved={job_id}))
    assert monitor.snapshot()["detail"]["checks"] == checks
    client.administration.retry(job_id)
    monitor.apply(Changes(moved={job_id}))
    assert monitor.snapshot()["detail"]["checks"] == []
    assert jobs.claim() == job_id
    monitor.handle({"event": "open", "id": job_id})
    assert monitor.snapshot()["detail"]["checks"] == []


def test_a_progress_without_percent_is_shown_as_it_is(client, jobs, monitor):
    job_id = jobs.active()
    monitor.handle({"event": "open", "id": job_id})
    assert monitor.snapshot()["detail"]["progress"] == ""
    client.queue.progress(job_id, {"rows": 5, "token": "canary"})
    monitor.apply(Changes(progress={job_id: ["{}"]}))
    shown = monitor.snapshot()["detail"]["progress"]
    assert '"rows": 5' in shown
    assert "canary" not in shown
    client.queue.progress(job_id, {"percent": 5})
    monitor.load()
    assert monitor.snapshot()["detail"]["progress"] == ""


def test_details_link_parent_and_children(client, jobs, monitor):
    from myia_sdk.queue.jobs import NewJob

    parent = jobs.delayed("whole")
    key = client.queue.keys.job(parent)
    child = client.queue.add(NewJob(name="part", parent_key=key))
    monitor.handle({"event": "open", "id": parent})
    children = monitor.snapshot()["detail"]["family"]["children"]
    assert [one["id"] for one in children["pending"]["shown"]] == [child]
    assert jobs.claim() == child
    client.queue.complete(child, TOKEN, {"ok": True})
    monitor.apply(Changes(moved={child}))
    children = monitor.snapshot()["detail"]["family"]["children"]
    assert (children["pending"]["total"], children["processed"]["total"]) == (0, 1)
    monitor.handle({"event": "open", "id": child})
    assert monitor.snapshot()["detail"]["family"]["parent"]["id"] == parent
    monitor.handle({"event": "open", "id": jobs.waiting()})
    assert monitor.snapshot()["detail"]["family"] is None


def test_details_of_a_removed_job_say_so(client, jobs, monitor):
    job_id = jobs.waiting()
    monitor.handle({"event": "open", "id": job_id})
    client.administration.remove(job_id)
    monitor.apply(Changes(moved={job_id}))
    assert monitor.snapshot()["detail"]["row"]["state"] == "unknown"


def test_retry_of_a_failed_job(client, jobs, monitor):
    job_id = jobs.failed()
    monitor.handle({"event": "retry", "ids": [job_id]})
    assert client.queue.state(job_id) is JobState.WAITING
    assert monitor.notice["kind"] == "done"
    assert monitor.snapshot()["rows"][job_id]["state"] == "waiting"


def test_promote_of_a_delayed_job(client, jobs, monitor):
    job_id = jobs.delayed()
    monitor.handle({"event": "promote", "ids": [job_id]})
    assert client.queue.state(job_id) is JobState.WAITING


def test_the_delay_of_selected_jobs_is_changed(client, jobs, monitor):
    ids = [jobs.delayed(), jobs.delayed()]
    other = jobs.waiting()
    monitor.handle({"event": "change_delay", "ids": [*ids, other], "seconds": 7200})
    delays = [client.queue.job(one).delay for one in ids]
    assert all(timedelta(hours=2) <= one < timedelta(hours=3) for one in delays)
    assert client.queue.job(other).delay == timedelta(0)
    assert "2 job(s)" in monitor.notice["text"]
    monitor.handle({"event": "change_delay", "ids": ids[:1], "seconds": 0})
    assert monitor.snapshot()["rows"][ids[0]]["due_at"] is not None


def test_the_priority_of_selected_jobs_is_changed(client, jobs, monitor):
    first, second, running = jobs.waiting(), jobs.delayed(), jobs.active()
    event = {"event": "change_priority", "ids": [first, second, running], "priority": 7}
    monitor.handle(event)
    found = [client.queue.job(one) for one in (first, second, running)]
    assert [job.priority for job in found] == [7, 7, 0]
    assert monitor.snapshot()["rows"][first]["state"] == "prioritized"
    monitor.handle({"event": "change_priority", "ids": [first], "priority": 0})
    assert client.queue.state(first) is JobState.WAITING


@pytest.mark.parametrize(
    "event",
    [
        {"event": "change_delay", "seconds": -1},
        {"event": "change_delay", "seconds": 1e12},
        {"event": "change_delay", "seconds": "5"},
        {"event": "change_priority", "priority": 1.5},
        {"event": "change_priority", "priority": 2_097_152},
        {"event": "change_priority"},
    ],
    ids=str,
)
def test_a_wrong_delay_or_priority_changes_nothing(client, jobs, monitor, event):
    job_id = jobs.delayed()
    before = client.queue.job(job_id)
    with pytest.raises(ActionRefusedError):
        monitor.handle({**event, "ids": [job_id]})
    assert client.queue.job(job_id) == before


def test_a_finished_job_has_no_delay_or_priority_to_change(jobs, monitor):
    done = jobs.completed()
    for change in ({"seconds": 1}, {"priority": 1}):
        (name,) = change
        event = {"seconds": "change_delay", "priority": "change_priority"}[name]
        with pytest.raises(ActionRefusedError, match="completed"):
            monitor.handle({"event": event, "ids": [done], **change})


def test_run_again_makes_a_new_job_with_the_same_request(client, jobs, monitor):
    job_id = jobs.completed("tree")
    monitor.handle({"event": "rerun", "ids": [job_id]})
    (again,) = client.queue.page(JobState.WAITING)
    copied = client.queue.job(again.id)
    assert copied.data == client.queue.job(job_id).data
    assert copied.labels == {"model": "tree", "suite": "classifier-baseline"}
    assert copied.max_attempts == 2


@pytest.mark.parametrize("action", ["remove", "cancel"])
def test_destructive_actions_only_run_once_confirmed(client, jobs, monitor, action):
    ids = [jobs.waiting("a"), jobs.waiting("b")]
    monitor.handle({"event": action, "ids": ids})
    assert [client.queue.state(one) for one in ids] == [JobState.WAITING] * 2
    facts = monitor.dialog["facts"]
    assert (facts["count"], len(facts["sample"]), facts["refused"]) == (2, 2, 0)
    confirm(monitor)
    after = None if action == "remove" else JobState.FAILED
    assert [client.queue.state(one) for one in ids] == [after] * 2
    assert monitor.dialog is None


def test_cancel_of_a_running_job_is_requested_and_shown(client, jobs, monitor):
    job_id = jobs.active()
    monitor.handle({"event": "cancel", "ids": [job_id]})
    confirm(monitor)
    assert client.administration.cancel_requested([job_id]) == {job_id}
    monitor.load()
    assert monitor.snapshot()["rows"][job_id]["is_cancelling"] is True


@pytest.mark.parametrize("token", ["", "wrong", "ümlaut", None, 5])
def test_a_wrong_token_confirms_nothing(client, jobs, monitor, token):
    job_id = jobs.waiting()
    monitor.handle({"event": "remove", "ids": [job_id]})
    with pytest.raises(ActionRefusedError):
        monitor.handle({"event": "confirm", "token": token})
    assert client.queue.state(job_id) is JobState.WAITING


def test_a_token_works_once(jobs, monitor):
    monitor.handle({"event": "remove", "ids": [jobs.waiting()]})
    token = monitor.dialog["token"]
    monitor.handle({"event": "confirm", "token": token})
    with pytest.raises(ActionRefusedError, match="nothing to confirm"):
        monitor.handle({"event": "confirm", "token": token})


def test_dismissed_questions_do_nothing(client, jobs, monitor):
    job_id = jobs.waiting()
    monitor.handle({"event": "remove", "ids": [job_id]})
    monitor.handle({"event": "dismiss"})
    assert monitor.dialog is None
    assert client.queue.state(job_id) is JobState.WAITING


def test_bulk_leaves_out_jobs_in_other_states(client, jobs, monitor):
    failed, waiting = jobs.failed(), jobs.waiting()
    monitor.handle({"event": "retry", "ids": [failed, waiting]})
    assert client.queue.state(failed) is JobState.WAITING
    monitor.handle({"event": "remove", "ids": [jobs.active(), failed]})
    assert monitor.dialog["facts"]["refused"] == 1


def test_an_action_on_a_wrong_state_is_refused_in_python(client, jobs, monitor):
    job_id = jobs.active()
    with pytest.raises(ActionRefusedError, match="active"):
        monitor.handle({"event": "remove", "ids": [job_id]})
    with pytest.raises(ActionRefusedError, match="gone"):
        monitor.handle({"event": "retry", "ids": ["nobody"]})


CHANGES = [
    {"event": "retry", "ids": ["1"]},
    {"event": "promote", "ids": ["1"]},
    {"event": "cancel", "ids": ["1"]},
    {"event": "remove", "ids": ["1"]},
    {"event": "rerun", "ids": ["1"]},
    {"event": "add", "name": "x", "data": "{}", "options": "{}"},
    {"event": "duplicate", "ids": ["1"], "name": "x"},
    {"event": "update", "ids": ["1"], "data": "{}"},
    {"event": "change_delay", "ids": ["1"], "seconds": 1},
    {"event": "change_priority", "ids": ["1"], "priority": 1},
    {"event": "pause"},
    {"event": "resume"},
    {"event": "concurrency", "concurrency": 1},
    {"event": "rate_limit", "maximum": 1, "seconds": 1},
    {"event": "retry_all"},
    {"event": "promote_all"},
    {"event": "clean", "state": "failed", "grace": 0, "limit": 0},
    {"event": "drain"},
    {"event": "obliterate"},
    {"event": "unschedule", "id": "x"},
    {"event": "reschedule", "id": "x", "seconds": 60},
    {"event": "run_now", "id": "x"},
]


@pytest.mark.parametrize("event", CHANGES, ids=lambda event: event["event"])
def test_read_only_refuses_every_change(client, event):
    options = ControllerOptions(permissions=Permissions(is_read_only=True))
    monitor = MonitorController(client.connection, options)
    with pytest.raises(ActionRefusedError, match="read-only"):
        monitor.handle(event)
    assert monitor.dialog is None


def test_the_list_of_changes_is_complete():
    reading = {"submit", "export", "verify", "download"}
    assert {event["event"] for event in CHANGES} == set(Action) - reading


MALFORMED = [
    {},
    {"event": None},
    {"event": "nonsense"},
    {"event": "tab", "tab": "nonsense"},
    {"event": "tab", "tab": 5},
    {"event": "page", "page": -1},
    {"event": "page", "page": "1"},
    {"event": "page", "page": True},
    {"event": "page", "page": float("nan")},
    {"event": "retry"},
    {"event": "retry", "ids": []},
    {"event": "retry", "ids": "1"},
    {"event": "retry", "ids": [1]},
    {"event": "retry", "ids": ["1"] * 1001},
    {"event": "search", "query": "x" * 501},
    {"event": "search", "query": ["x"]},
    {"event": "concurrency", "concurrency": 0},
    {"event": "rate_limit", "maximum": 5, "seconds": 0},
    {"event": "clean", "state": "active", "grace": 0, "limit": 0},
    {"event": "clean", "state": "failed", "grace": -1, "limit": 0},
]


@pytest.mark.parametrize("event", MALFORMED, ids=str)
def test_malformed_events_are_refused(monitor, event):
    with pytest.raises(ActionRefusedError):
        monitor.handle(event)


def test_pause_and_resume(client, monitor):
    monitor.handle({"event": "pause"})
    assert client.queue.is_paused()
    assert monitor.snapshot()["queue"]["is_paused"] is True
    monitor.handle({"event": "resume"})
    assert not client.queue.is_paused()


def test_concurrency_and_rate_limit(client, monitor):
    monitor.handle({"event": "concurrency", "concurrency": 4})
    monitor.handle({"event": "rate_limit", "maximum": 10, "seconds": 1.5})
    assert client.administration.concurrency() == 4
    queue = monitor.snapshot()["queue"]
    assert queue["concurrency"] == 4
    assert queue["rate_limit"] == {"maximum": 10, "duration": 1500}
    monitor.handle({"event": "concurrency", "concurrency": None})
    monitor.handle({"event": "rate_limit", "maximum": None})
    assert client.administration.concurrency() is None
    assert monitor.snapshot()["queue"]["rate_limit"] is None


def test_oldest_waiting_job_is_told(client, jobs, monitor):
    first = jobs.waiting()
    jobs.waiting()
    monitor.load()
    created = client.queue.job(first).created_at.timestamp() * 1000
    assert monitor.snapshot()["queue"]["oldest_waiting_at"] == round(created)


def test_queue_details_load_server_and_schedulers(client, monitor):
    from myia_sdk.queue.jobs import NewJob

    client.scheduling.upsert(
        "nightly", every=timedelta(hours=1), template=NewJob(name="certify")
    )
    monitor.handle({"event": "queue_details", "is_open": True})
    state = monitor.snapshot()
    assert [one["id"] for one in state["schedulers"]] == ["nightly"]
    assert state["server"]["version"]
    monitor.handle({"event": "unschedule", "id": "nightly"})
    confirm(monitor)
    assert monitor.snapshot()["schedulers"] == []


@pytest.fixture
def nightly(client, monitor):
    from myia_sdk.queue.jobs import NewJob

    template = NewJob(name="certify", data={"a": 1}, labels={"model": "tree"})
    client.scheduling.upsert(
        "nightly", pattern="0 3 * * *", tz="Europe/Paris", limit=9, template=template
    )
    monitor.handle({"event": "queue_details", "is_open": True})


def test_a_scheduler_is_changed_and_keeps_its_job_zone_and_limit(
    client, monitor, nightly
):
    monitor.handle({"event": "reschedule", "id": "nightly", "pattern": "5 4 * * *"})
    changed = client.scheduling.get("nightly")
    assert (changed.timetable.pattern, changed.timetable.limit) == ("5 4 * * *", 9)
    assert changed.timetable.tz == "Europe/Paris"
    assert (changed.name, changed.data) == ("certify", {"a": 1})
    assert changed.labels == {"model": "tree"}
    assert monitor.snapshot()["schedulers"][0]["pattern"] == "5 4 * * *"
    monitor.handle({"event": "reschedule", "id": "nightly", "seconds": 7200})
    assert client.scheduling.get("nightly").timetable.every == timedelta(hours=2)
    assert monitor.snapshot()["schedulers"][0]["seconds"] == 7200


@pytest.mark.parametrize(
    "rule", [{"pattern": "x"}, {"seconds": 0}, {"seconds": "1"}, {}], ids=str
)
def test_a_wrong_rule_changes_no_scheduler(client, monitor, nightly, rule):
    from myia_sdk.errors import MyiaError

    with pytest.raises(MyiaError):
        monitor.handle({"event": "reschedule", "id": "nightly", **rule})
    assert client.scheduling.get("nightly").timetable.pattern == "0 3 * * *"


def test_the_job_of_a_scheduler_runs_now_beside_its_schedule(client, monitor, nightly):
    before = client.scheduling.get("nightly")
    monitor.handle({"event": "run_now", "id": "nightly"})
    (job,) = client.queue.page(JobState.WAITING)
    assert client.queue.job(job.id).data == {"a": 1}
    assert (job.labels["model"], job.scheduler_id) == ("tree", None)
    assert job.id in monitor.notice["text"]
    assert client.scheduling.get("nightly") == before
    with pytest.raises(ActionRefusedError, match="gone"):
        monitor.handle({"event": "run_now", "id": "nobody"})


def test_retry_all_and_promote_all_after_confirmation(client, jobs, monitor):
    failed = [jobs.failed(), jobs.failed()]
    delayed = jobs.delayed()
    monitor.handle({"event": "retry_all"})
    assert monitor.dialog["facts"]["count"] == 2
    confirm(monitor)
    monitor.handle({"event": "promote_all"})
    confirm(monitor)
    assert {client.queue.state(one) for one in [*failed, delayed]} == {JobState.WAITING}


def test_all_completed_jobs_run_again_after_confirmation(client, jobs, monitor):
    done, failed = jobs.completed(), jobs.failed()
    with pytest.raises(ActionRefusedError, match="failed or completed"):
        monitor.handle({"event": "retry_all", "state": "active"})
    monitor.handle({"event": "retry_all", "state": "completed"})
    assert monitor.dialog["facts"] == {"count": 1, "state": "completed"}
    confirm(monitor)
    assert client.queue.state(done) is JobState.WAITING
    assert client.queue.state(failed) is JobState.FAILED


def test_drain_drops_waiting_jobs(client, jobs, monitor):
    jobs.waiting()
    finished = jobs.completed() if False else jobs.delayed()
    monitor.handle({"event": "drain"})
    confirm(monitor)
    counts = client.queue.counts()
    assert (counts[JobState.WAITING], client.queue.state(finished)) == (
        0,
        JobState.DELAYED,
    )


def test_obliterate_needs_the_typed_name(client, jobs, monitor, queue_name):
    jobs.waiting()
    monitor.handle({"event": "obliterate"})
    token = monitor.dialog["token"]
    with pytest.raises(ActionRefusedError, match="Type"):
        monitor.handle({"event": "confirm", "token": token, "typed": "other"})
    monitor.handle({"event": "confirm", "token": token, "typed": queue_name})
    assert sum(client.queue.counts().values()) == 0


def test_export_disarms_formulas(jobs, monitor):
    job_id = jobs.waiting("=HYPERLINK(1)")
    monitor.handle({"event": "export", "ids": [job_id]})
    (download,) = monitor.take_downloads()
    (row,) = csv.DictReader(io.StringIO(download["text"]))
    assert (row["id"], row["name"]) == (job_id, "'=HYPERLINK(1)")
    assert monitor.take_downloads() == []


def test_secrets_in_data_are_masked(client, monitor):
    from myia_sdk.queue.jobs import NewJob

    job_id = client.queue.add(
        NewJob(
            name="certify",
            data={"api_key": "sk-canary", "model": {"secret": "env:OPENAI_API_KEY"}},
        )
    )
    monitor.handle({"event": "open", "id": job_id})
    text = str(monitor.snapshot())
    assert "sk-canary" not in text
    assert "env:OPENAI_API_KEY" in text
