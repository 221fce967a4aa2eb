"""The sandbox: what goes in and out, and what a bad child cannot do."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.sandbox.sandbox import JobIdentity, Limits, Sandbox

BODIES = "tests.helpers.sandbox_bodies"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(preload=[BODIES, "numpy"]) as made:
        yield made


def run(sandbox, name, *arguments, **options):
    return sandbox.run(f"{BODIES}:{name}", arguments, **options)


def test_values_travel_both_ways(sandbox):
    value = {"text": "é\x00\ud800", "number": 2**60, "none": None, "list": [1.5]}
    outcome = sandbox.run(f"{BODIES}:echo", [1, "two"], {"three": value})
    assert outcome.is_success
    assert outcome.value == {"args": [1, "two"], "kwargs": {"three": value}}
    assert outcome.max_rss > 1 << 20


def test_large_request_and_result_pass_the_pipe(sandbox):
    outcome = sandbox.run(f"{BODIES}:echo", ["x" * 3_000_000])
    assert outcome.value["args"] == ["x" * 3_000_000]


def test_child_sees_no_secret_and_no_foreign_socket(monkeypatch):
    secrets = {
        "REDIS_PASSWORD": "canary-1",
        "BULL_BOARD_PASSWORD": "canary-2",
        "MYIA_SIGNING_KEY": "canary-3",
        "OPENAI_API_KEY": "canary-4",
        "HARMLESS_NAME": "canary-5",
        "TORCH_INDEX": "https://user:canary-6@host",
    }
    for name, value in {**secrets, "PLAIN_ALLOWED": "visible"}.items():
        monkeypatch.setenv(name, value)
    allowed = ["PLAIN_*", "REDIS_*", "OPENAI_API_KEY"]
    with Sandbox(preload=[BODIES], allowed_environment=allowed) as own:
        outcome = run(own, "surroundings", env={"OPENAI_API_KEY": "given"})
        again = run(own, "surroundings")
    seen = outcome.value["environment"]
    assert seen["PLAIN_ALLOWED"] == "visible"
    assert seen["OPENAI_API_KEY"] == "given"
    assert "canary" not in str(seen)
    assert "OPENAI_API_KEY" not in again.value["environment"]
    assert outcome.value["sockets"] == 1
    assert outcome.value["is_session_leader"]
    assert outcome.value["core"] == 0
    assert outcome.value["stdin_is_null"]


def test_log_progress_and_output_reach_the_consumer(sandbox):
    progress, lines = [], []
    outcome = run(
        sandbox,
        "talk",
        job=JobIdentity(id="j1", name="talk", attempt=2),
        on_progress=progress.append,
        on_log=lines.extend,
    )
    assert outcome.value == ["j1", "talk", 2]
    assert progress == [{"percent": step * 25} for step in range(5)]
    assert {"first", "second", "from a thread", "printed"} <= set(lines)
    assert {"native words", "from a child process", "100%"} <= set(lines)
    assert "no newline at the end" in lines
    assert "10%" not in lines


def test_output_is_bounded_and_the_job_goes_on():
    lines = []
    with Sandbox(preload=[BODIES], limits=Limits(log_lines=50)) as own:
        outcome = run(own, "flood", 20_000, on_log=lines.extend)
    assert outcome.value == "done"
    assert lines[:50] == [f"line {number}" for number in range(50)]
    assert lines[50:] == ["... 19,950 more log lines were dropped: over the limit"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("plain", "ValueError: plain"),
        (
            "unprintable",
            "UnprintableError: <__str__ of UnprintableError raised RuntimeError>",
        ),
        ("interrupt", "KeyboardInterrupt"),
    ],
)
def test_exceptions_end_the_attempt_with_their_name(sandbox, kind, reason):
    outcome = run(sandbox, "raise_error", kind)
    assert not outcome.is_success
    assert outcome.reason == reason
    assert "in raise_error" in outcome.error.traceback
    assert not outcome.error.is_unrecoverable


def test_unrecoverable_and_category_are_carried(sandbox):
    error = run(sandbox, "raise_error", "final").error
    assert error.is_unrecoverable
    assert error.category == "model_broken"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("set", ["TypeError", "(set)"]),
        ("nan", ["ValueError", "(float)"]),
        ("deep", ["RecursionError", "(list)"]),
        ("large", ["ResultTooLargeError", "(str)", "20,000,", "4,194,304"]),
    ],
)
def test_result_that_cannot_travel_fails_the_attempt(sandbox, kind, words):
    outcome = run(sandbox, "odd_result", kind)
    assert not outcome.is_success
    assert all(word in outcome.reason for word in words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("segfault", "SIGSEGV (signal 11)"),
        ("abort", "SIGABRT (signal 6)"),
        ("exit0", "exit code 0 before the task returned"),
        ("sysexit", "SystemExit: 4"),
        ("sigkill", "SIGKILL (signal 9)"),
        ("stack", "SIGSEGV (signal 11)"),
    ],
)
def test_sudden_death_is_never_success_and_names_its_cause(sandbox, kind, words):
    outcome = run(sandbox, "die", kind)
    assert not outcome.is_success
    assert words in outcome.reason


def test_crash_leaves_the_python_stack_in_the_log(sandbox):
    lines = []
    run(sandbox, "die", "segfault", on_log=lines.extend)
    assert any("Fatal Python error: Segmentation fault" in line for line in lines)
    assert any("in die" in line for line in lines)


@pytest.mark.parametrize("seconds", [0, 600])
def test_closed_channel_fails_the_attempt(sandbox, seconds):
    outcome = run(sandbox, "close_everything", seconds)
    assert not outcome.is_success
    assert outcome.duration < timedelta(seconds=300)
    assert outcome.reason


def test_closed_stdout_does_not_hurt(sandbox):
    assert run(sandbox, "close_stdout").value == "fine"


@pytest.mark.parametrize(
    "kind", ["pickle", "noise", "list", "unknown", "nan", "deep", "long"]
)
def test_forged_messages_are_refused_and_nothing_is_executed(sandbox, kind):
    outcome = run(sandbox, "forge", kind, timeout=timedelta(seconds=120))
    assert outcome.malformed is not None
    assert "protocol" in outcome.reason
    assert not Path("/tmp/should-not-exist-myia").exists()


def test_memory_and_cpu_limits_hold():
    limits = Limits(memory_bytes=1 << 30, cpu_seconds=1)
    with Sandbox(preload=[BODIES], limits=limits) as own:
        assert run(own, "allocate", 10).value == 10 << 20
        assert run(own, "allocate", 4000).reason == "MemoryError"
        assert "SIGXCPU" in run(own, "burn").reason


def test_calls_are_answered_and_refusals_carry_their_name(sandbox):
    def answer(method, arguments):
        if method == "double":
            return arguments["number"] * 2
        raise LookupError(f"no {method}")

    assert run(sandbox, "ask", "double", on_call=answer).value == 4
    refused = run(sandbox, "ask", "halve", on_call=answer)
    assert refused.reason == "RemoteFaultError: LookupError: no halve"
    assert "not offered" in run(sandbox, "ask", "double").reason


def test_each_run_starts_fresh(sandbox, tmp_path):
    draws = [run(sandbox, "draw").value for _ in range(3)]
    assert len({str(draw) for draw in draws}) == 3
    assert len({draw[1] for draw in draws}) == 3
    assert run(sandbox, "make_mess", str(tmp_path)).is_success
    cwd, left, umask = run(sandbox, "inspect_mess").value
    assert (cwd, left, umask) == (str(Path.cwd()), None, 0o022)


def test_child_may_use_multiprocessing(sandbox):
    assert run(sandbox, "use_multiprocessing").value == [1, 4, 9]


def test_runs_go_side_by_side(sandbox):
    barrier = threading.Barrier(4)
    values = []

    def one(number):
        barrier.wait(timeout=120)
        values.append(run(sandbox, "square", number).value)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values) == [0, 1, 4, 9]


def test_unknown_function_and_failing_module_fail_the_attempt(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("raise OSError('half installed')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Sandbox(preload=["broken_module"]) as own:
        assert own.start() == ["broken_module: OSError: half installed"]
        assert "half installed" in own.run("broken_module:f").reason
        assert "ModuleNotFoundError" in own.run("no_such_module:f").reason
        assert "AttributeError" in own.run("math:no_such_function").reason
        assert "not a function" in own.run("math:pi").reason


def test_arguments_that_are_not_json_are_refused_at_the_call(sandbox):
    with pytest.raises(TypeError, match="set"):
        run(sandbox, "echo", {1, 2})


def test_closed_sandbox_and_bad_limits_say_so():
    own = Sandbox()
    own.close()
    with pytest.raises(QueueError, match="closed"):
        own.run("math:sqrt", [4])
    with pytest.raises(ConfigurationError, match="memory_bytes=0"):
        Limits(memory_bytes=0)
