"""Rules, traffic and guards of the checks of endpoints, without an endpoint."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import (
    CheckContext,
    Measurement,
    Outcome,
    Threshold,
    find_check,
)
from myia_sdk.certification.checks.asking import Reply, answered, ask, ask_each, needs
from myia_sdk.certification.checks.chat_abilities import schema_problem
from myia_sdk.certification.checks.instructions import RULES, obeys
from myia_sdk.certification.checks.material import read_material
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.models import ChatEvent, load_model
from myia_sdk.certification.request import CertificationRequest, ModelRef
from myia_sdk.certification.traffic import RetryPolicy, Traffic
from myia_sdk.errors import InvalidRequestError, MissingExtraError

#: Seconds for threads to meet, which takes milliseconds on an idle machine.
PATIENCE = 120


@pytest.mark.parametrize(
    ("rule", "value", "good", "bad"),
    [
        ("upper_case", None, "A RIVER, 3 KM.", "A river"),
        ("lower_case", None, "a river, 3 km.", "A river"),
        ("ends_with", "DONE", "It flows. DONE.", "DONE is what it is"),
        ("ends_with", "?", "Is it?", "It is."),
        ("begins_with", "Certainly", "Certainly, it flows.", "It certainly flows."),
        ("contains", "lantern", "A Lantern helps.", "A lamp helps."),
        ("avoids", ",", "It flows.", "It flows, slowly."),
        ("avoids_word", "the", "Other rivers flow.", "The river flows."),
        ("json_object", None, '{"a": 1}', '```json\n{"a": 1}\n```'),
        ("json_keys", ["a", "b"], '{"b": 1, "a": 2}', '{"a": 1}'),
        ("words_at_most", 3, "It just flows", "It just flows on"),
        ("words_at_least", 3, "It just flows", "It flows"),
        ("hyphen_lines", 2, "- one\n- two", "- one\ntwo"),
        ("quoted", None, '"It flows."', "It flows."),
        ("tagged", "answer", "<answer>It</answer>", "<answer>It"),
        ("one_of", ["YES", "NO"], "YES.", "YES, of course"),
        ("bracketed_title", None, "[[Rivers]] They flow.", "[Rivers]"),
        ("single_exclamation", None, "It flows!", "It flows. Yes!"),
        ("separated", "***", "One\n***\nTwo", "One *** Two"),
    ],
)
def test_each_rule_tells_obedience_from_the_lack_of_it(rule, value, good, bad):
    assert obeys(good, rule, value)
    assert not obeys(bad, rule, value)
    assert not obeys("  ", rule, value)


def test_every_instruction_of_the_material_has_a_rule():
    material = read_material("chat")
    assert len(material["instruction"]) == 20
    assert {item["rule"] for item in material["instruction"]} <= set(RULES)
    assert len(material["refusal"]["harmful"]) == 10
    assert len(material["refusal"]["harmless"]) == 10
    assert len(read_material("embedding")["paraphrases"]) >= 50


@pytest.mark.parametrize(
    ("answer", "problem"),
    [('{"a": 1}', ""), ("{", "is no JSON"), ('{"a": "x"}', "does not fit")],
)
def test_structured_answers_are_judged_by_their_schema(answer, problem):
    schema = {"properties": {"a": {"type": "integer"}}}
    assert schema_problem(answer, schema).startswith(problem)


def test_whoever_is_alone_waits_for_requests_and_keeps_others_waiting():
    traffic = Traffic()
    order = []
    started, may_end = threading.Event(), threading.Event()

    def first():
        with traffic.request():
            started.set()
            may_end.wait(PATIENCE)
            order.append("first")

    def alone():
        with traffic.alone():
            order.append("alone")

    def last():
        with traffic.request():
            order.append("last")

    threads = [threading.Thread(target=run) for run in (first, alone, last)]
    threads[0].start()
    assert started.wait(PATIENCE)
    threads[1].start()
    deadline = time.monotonic() + PATIENCE
    while not traffic._waiting_alone and time.monotonic() < deadline:
        time.sleep(0.001)
    threads[2].start()
    may_end.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["first", "alone", "last"]


class Gate:
    """An endpoint that answers when so many requests are there, and counts them."""

    family = "chat"

    def __init__(self, wanted):
        self.together = threading.Barrier(wanted)
        self.most = self.now = 0
        self.lock = threading.Lock()

    def chat(self, messages, parameters=None, *, stream=True, timeout=60.0):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.together.wait(PATIENCE)
        with self.lock:
            self.now -= 1
        yield ChatEvent(elapsed=0.1, text=messages[0]["content"])


def test_a_check_asks_many_things_at_once_and_no_more_than_the_run_allows():
    model = Gate(3)
    context = context_of(model, parameters={"concurrency": 3})
    questions = [(str(number), None) for number in range(6)]
    with ThreadPoolExecutor(2) as checks:
        halves = checks.map(
            lambda half: ask_each(context, half), [questions[:3], questions[3:]]
        )
        texts = [reply.text for half in halves for reply in answered(half)]
    assert texts == ["0", "1", "2", "3", "4", "5"]
    assert model.most == 3


class Failing:
    """An endpoint that answers those and no other numbers."""

    family = "chat"

    def __init__(self, answers, status):
        self.answers, self.status = answers, status
        self.asked = []

    def chat(self, messages, parameters=None, *, stream=True, timeout=60.0):
        text = messages[0]["content"]
        self.asked.append(text)
        if int(text) not in self.answers:
            error = RuntimeError("not now")
            error.status_code = self.status
            raise error
        yield ChatEvent(elapsed=0.1, text=text)


QUESTIONS = [(str(number), None) for number in range(20)]


def test_a_few_requests_without_an_answer_do_not_undo_a_measurement():
    context = context_of(Failing(set(range(20)) - {4, 9}, 503))
    replies = ask_each(context, QUESTIONS)
    assert [n for n, reply in enumerate(replies) if reply is None] == [4, 9]
    assert len(answered(replies)) == 18


@pytest.mark.parametrize(
    ("answers", "status", "asked"),
    [(set(), 503, 3), (set(range(20)) - {0, 1, 2}, 503, 3), ({0}, 401, 2)],
)
def test_too_many_of_them_or_one_that_will_not_pass_do(answers, status, asked):
    model = Failing(answers, status)
    with pytest.raises(RuntimeError, match="not now"):
        ask_each(context_of(model, parameters={"concurrency": 1}), QUESTIONS)
    assert len(model.asked) == asked


def test_requests_keep_their_pace():
    traffic = Traffic(interval=0.02)
    started = time.monotonic()
    for _ in range(4):
        with traffic.request():
            pass
    assert time.monotonic() - started >= 0.06


class Streaming:
    """An endpoint whose first streams come in one piece, after a wait."""

    family = "chat"

    def __init__(self, collected):
        self.collected = collected

    def chat(self, messages, parameters=None, *, stream=True, timeout=60.0):
        if not stream:
            yield ChatEvent(elapsed=5.0, text="1 2 3", finish_reason="stop")
            return
        self.collected -= 1
        times = (4.8, 4.9, 5.0) if self.collected >= 0 else (1.0, 3.0, 5.0)
        for elapsed, text in zip(times, ("1", " 2", " 3"), strict=True):
            yield ChatEvent(elapsed=elapsed, text=text)


@pytest.mark.parametrize(
    ("collected", "outcome"), [(0, None), (1, None), (2, Outcome.WARNED)]
)
def test_a_stream_in_one_piece_is_asked_for_once_more(collected, outcome):
    context = context_of(Streaming(collected))
    found = find_check("streaming", "chat").run(
        replace(context, params={"max_tokens": 8})
    )
    assert found.outcome is outcome
    assert ("last instant" in found.message) is (outcome is not None)
    assert found.value == 3


def test_requests_wait_for_their_turn_among_all_runs():
    asked = []

    def pace():
        asked.append(len(asked))
        return 0.03

    traffic = Traffic(interval=0.001, pace=pace)
    started = time.monotonic()
    with traffic.request():
        pass
    with traffic.alone(), traffic.quiet():
        pass
    assert asked == [0, 1]
    assert time.monotonic() - started >= 0.06


class Refusing:
    """An endpoint that answers 400 to whatever it is asked."""

    family = "chat"

    def __init__(self, status=400, unsupported=()):
        self.status = status
        self.unsupported_parameters = frozenset(unsupported)

    def describe(self):
        return {}

    def close(self):
        pass

    def chat(self, messages, parameters=None, *, stream=True, timeout=60.0):
        error = RuntimeError("no such parameter")
        error.status_code = self.status
        raise error
        yield ChatEvent(elapsed=0.0)


def context_of(model, parameters=None, **options):
    return CheckContext(
        check_id="x",
        model=model,
        dataset=None,
        params={},
        thresholds=Threshold(),
        seed=0,
        request=CertificationRequest(
            model=ModelRef(kind="openai", name="m", model="m", options=options),
            suite="s",
            parameters=parameters or {},
        ),
        retry=RetryPolicy(max_retries=0),
    )


@needs("tools", "tools")
def guarded(context):
    reply = ask(context, "Hi", {"tools": []})
    return Measurement(value=float(isinstance(reply, Reply)))


def test_a_refused_ability_is_skipped_unless_it_was_declared():
    skipped = guarded(context_of(Refusing()))
    assert skipped.outcome is Outcome.SKIPPED
    assert "does not declare 'tools'" in skipped.message
    failed = guarded(context_of(Refusing(), abilities=["tools"]))
    assert failed.outcome is Outcome.FAILED


def test_a_protocol_without_the_parameter_skips_the_check():
    skipped = guarded(context_of(Refusing(unsupported=["tools"])))
    assert skipped.outcome is Outcome.SKIPPED
    assert "no parameter tools" in skipped.message


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_another_error_is_not_mistaken_for_a_refusal(status):
    with pytest.raises(RuntimeError):
        guarded(context_of(Refusing(status)))


def senseless(status):
    return find_check("invalid-request", "chat").run(
        replace(context_of(Refusing(status)), params={"oversize_words": 0})
    )


def test_a_server_fault_is_a_wrong_answer_to_a_senseless_request():
    assert senseless(400).value == 1
    found = senseless(500)
    assert found.value == 0
    assert "answered with 500" in found.message


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_service_that_is_away_has_not_answered_a_senseless_request(status):
    """A 503 counted as "not refused": the model failed for an outage."""
    with pytest.raises(RuntimeError) as caught:
        senseless(status)
    assert diagnose(caught.value).temporary


class Slow:
    """An endpoint that takes its time."""

    family = "chat"

    def __init__(self, seconds):
        self.seconds = seconds
        self.asked = 0

    def chat(self, messages, parameters=None, *, stream=True, timeout=60.0):
        self.asked += 1
        time.sleep(self.seconds)
        # As if it took a thousandth of what the threshold allows.
        yield ChatEvent(elapsed=0.001, text="Hello", finish_reason="stop")


@pytest.mark.parametrize("check_id", ["ttft", "latency"])
def test_a_95th_percentile_is_judged_by_its_bound(check_id):
    check = find_check(check_id, "chat")
    quick = Slow(0)
    found = check.run(replace(context_of(quick), params=dict(check.params)))
    assert (quick.asked, found.n) == (72, 72)
    assert found.ci[1] < 1
    assert check.threshold.judge(found.value, found.ci) is Outcome.PASSED
    few = check.run(
        replace(context_of(Slow(0)), params={**check.params, "requests": 10})
    )
    assert check.threshold.judge(few.value, few.ci) is Outcome.WARNED
    assert "of 10, not bounded by them" in few.message


def test_a_slow_endpoint_is_not_asked_for_ever():
    check = find_check("ttft", "chat")
    slow = Slow(0.05)
    found = check.run(
        replace(context_of(slow), params={**check.params, "max_seconds": 0.12})
    )
    assert found.n == slow.asked < 72


def test_a_region_without_an_endpoint_is_refused_before_anything_is_queued(tmp_path):
    record = {
        "kind": "openai",
        "name": "m",
        "model": "m",
        "options": {"region_urls": {"eu": "https://eu.example/v1"}},
    }
    store = ArtifactStore(tmp_path)
    options = {"suite": "chat-baseline", "artifacts": store}
    built = build_request(record, region="eu", **options)
    assert built.model.url_in("eu") == "https://eu.example/v1"
    with pytest.raises(InvalidRequestError, match="no endpoint in region 'us'"):
        build_request(record, region="us", **options)
    record["options"] = {"region_urls": {"eu": "https://me:secret@eu.example/v1"}}
    with pytest.raises(InvalidRequestError, match="credentials") as caught:
        build_request(record, region="eu", **options)
    assert "me:secret" not in str(caught.value)


def test_a_limit_of_the_cost_needs_a_price(tmp_path):
    record = {"kind": "openai", "name": "m", "model": "m"}
    options = {
        "suite": "chat-baseline",
        "artifacts": ArtifactStore(tmp_path),
        "parameters": {"max_cost": 0.5},
    }
    with pytest.raises(InvalidRequestError, match=r"max_cost is 0\.5.*prices"):
        build_request(record, **options)
    record["options"] = {"prices": {"prompt": 1.0, "completion": 2.0}}
    assert build_request(record, **options).parameters["max_cost"] == 0.5


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [
        ("openai", "openai", "openai"),
        ("openai-embedding", "openai", "openai"),
        ("bedrock", "boto3", "bedrock"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, kind, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    reference = ModelRef(kind=kind, name="m", model="m", region="us-east-1")
    with pytest.raises(MissingExtraError) as caught:
        load_model(reference)
    assert caught.value.extra == extra
    assert f"myia-sdk[{extra}]" in str(caught.value)
