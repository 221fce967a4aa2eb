"""Options of a job as people write them: read strictly, told what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from myia_sdk.panels.permissions import ActionRefusedError
from myia_sdk.queue.jobs import JobOptions
from myia_sdk.queue.jobs.options import (
    MAX_DELAY,
    MAX_PRIORITY,
    PARENT_RULES,
    milliseconds,
)

if TYPE_CHECKING:
    from myia_sdk.queue.jobs import Job

#: Returns a text of the catalogue.
Say = Callable[..., str]

#: Longest delay, milliseconds.
DELAY_LIMIT = milliseconds(MAX_DELAY)
#: Most attempts taken from a form: more is a slip of the keyboard.
ATTEMPTS_LIMIT = 1_000
#: Most jobs, log lines or stack traces a retention may name.
COUNT_LIMIT = 10_000_000
#: Options that belong to one job and not to its copy.
BOUND = frozenset({"jobId", "de", "repeat", "parent", "timestamp", *PARENT_RULES})
_BACKOFF = {"type", "delay", "jitter", "cap"}
_RETENTION = {"age", "count"}
_DEDUPLICATION = {"id", "ttl", "extend", "replace", "keepLastIfActive"}


class ReadOptions(NamedTuple):
    """What a text of options says."""

    options: JobOptions
    #: Longest run of one attempt, milliseconds; None for the queue's.
    timeout: int | None


def read_json(text: str, say: Say) -> Any:
    """Return the value a text holds; an empty text is an empty object.

    Parameters
    ----------
    text : str
        JSON.
    say : callable
        Returns a text of the catalogue.

    Raises
    ------
    ActionRefusedError
        It is no JSON; the message tells the place of the mistake.
    """
    try:
        return json.loads(text.strip() or "{}", parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        raise ActionRefusedError(say("error.json", reason=error.msg, **place)) from None
    except (ValueError, RecursionError) as error:
        raise ActionRefusedError(
            say("error.json", reason=str(error), line=1, column=1)
        ) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_options(text: str, say: Say) -> ReadOptions:
    """Return the options a text holds, in BullMQ's names.

    Parameters
    ----------
    text : str
        JSON object: ``attempts backoff delay priority lifo jobId timeout
        removeOnComplete removeOnFail keepLogs stackTraceLimit deduplication``; times
        in milliseconds. ``timeout`` is Bull's old name for the longest run.
    say : callable
        Returns a text of the catalogue.

    Raises
    ------
    ActionRefusedError
        An option is unknown or its value makes no sense; the message names it.
    InvalidJobError
        The chosen id cannot be the id of a job.
    """
    record = read_json(text, say)
    if not isinstance(record, dict):
        raise ActionRefusedError(say("error.object"))
    for name, value in record.items():
        if name not in _RULES:
            known = ", ".join(sorted(_RULES))
            raise ActionRefusedError(say("error.option", name=name, known=known))
        problem = _RULES[name](value)
        if problem is not None:
            key, values = problem
            shown = json.dumps(value, ensure_ascii=False)[:60]
            raise ActionRefusedError(say(key, name=name, value=shown, **values))
    timeout = record.pop("timeout", None)
    for ours, wire in (("keepLogs", "kl"), ("deduplication", "de")):
        if ours in record:
            record[wire] = record.pop(ours)
    options = JobOptions.from_record(record)
    options.check_new()
    return ReadOptions(options, timeout)


def shown_options(job: Job) -> str:
    """Return the options of a job as a text to start a copy from.

    What is bound to the job itself (its id, parent, deduplication, creation time) is
    left out, and so is what this form does not know.
    """
    record = {k: v for k, v in job.options.to_record().items() if k not in BOUND}
    if "kl" in record:
        record["keepLogs"] = record.pop("kl")
    timeout = job.fields.get("timeout", "")
    if timeout.isdecimal():
        record["timeout"] = int(timeout)
    return json.dumps({k: v for k, v in record.items() if k in _RULES}, indent=2)


# A rule returns nothing for a right value, else a key of the catalogue and its values.
_Problem = tuple[str, dict[str, object]] | None
_Rule = Callable[[Any], _Problem]


def _is_whole(value: object, low: int, high: int) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and low <= value <= high  # type: ignore[operator]


def _whole(low: int, high: int) -> _Rule:
    problem: _Problem = ("error.option.integer", {"low": low, "high": f"{high:,}"})
    return lambda value: None if _is_whole(value, low, high) else problem


def _truth(value: object) -> _Problem:
    return None if isinstance(value, bool) else ("error.option.boolean", {})


def _text(value: object) -> _Problem:
    is_text = isinstance(value, str) and bool(value.strip())
    return None if is_text else ("error.option.text", {})


def _backoff(value: object) -> _Problem:
    if _is_whole(value, 0, DELAY_LIMIT):
        return None
    is_right = (
        isinstance(value, Mapping)
        and value.keys() <= _BACKOFF
        and value.get("type", "fixed") in {"fixed", "exponential"}
        and all(
            _is_whole(value.get(key, 0), 0, DELAY_LIMIT) for key in ("delay", "cap")
        )
        and _is_share(value.get("jitter", 0))
    )
    return None if is_right else ("error.option.backoff", {})


def _is_share(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= 1  # type: ignore[operator]


def _retention(value: object) -> _Problem:
    if isinstance(value, bool) or _is_whole(value, 0, COUNT_LIMIT):
        return None
    is_right = (
        isinstance(value, Mapping)
        and bool(value)
        and value.keys() <= _RETENTION
        and all(_is_whole(one, 0, DELAY_LIMIT) for one in value.values())
    )
    return None if is_right else ("error.option.retention", {})


def _deduplication(value: object) -> _Problem:
    is_right = (
        isinstance(value, Mapping)
        and value.keys() <= _DEDUPLICATION
        and _text(value.get("id")) is None
        and _is_whole(value.get("ttl", 1), 1, DELAY_LIMIT)
        and all(
            isinstance(value.get(key, False), bool)
            for key in ("extend", "replace", "keepLastIfActive")
        )
    )
    return None if is_right else ("error.option.deduplication", {})


_RULES: dict[str, _Rule] = {
    "attempts": _whole(1, ATTEMPTS_LIMIT),
    "backoff": _backoff,
    "delay": _whole(0, DELAY_LIMIT),
    "priority": _whole(0, MAX_PRIORITY),
    "lifo": _truth,
    "jobId": _text,
    "timeout": _whole(1, DELAY_LIMIT),
    "removeOnComplete": _retention,
    "removeOnFail": _retention,
    "keepLogs": _whole(0, COUNT_LIMIT),
    "stackTraceLimit": _whole(0, COUNT_LIMIT),
    "deduplication": _deduplication,
}
