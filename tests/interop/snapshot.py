"""All keys of a queue in a form that can be compared between two queues."""

from __future__ import annotations

import json

from myia_sdk.queue.jobs import Retention

#: Fields that hold moments, and BullMQ's own version.
MASKED_FIELDS = {"timestamp", "processedOn", "finishedOn", "version"}
#: Sorted sets whose scores are moments; their order is compared.
BY_TIME = {"delayed", "completed", "failed", "waiting-children", "repeat"}
JSON_FIELDS = {"data", "opts", "progress", "returnvalue", "parent", "stacktrace"}
MASKED_OPTIONS = {"timestamp", "prevMillis"}


def snapshot(redis, queue, prefix="myia"):
    """Return key suffix -> content, moments masked."""
    base = f"{prefix}:{queue}:"
    keys = sorted(redis.scan_iter(f"{base}*", count=1000))
    delayed = set(redis.zrange(f"{base}delayed", 0, -1))
    return {
        key.removeprefix(base): _content(redis, key, key.removeprefix(base), delayed)
        for key in keys
    }


def events(redis, queue, prefix="myia"):
    """Return the events of a queue in order, moments masked."""
    found = redis.xrange(f"{prefix}:{queue}:events")
    return [_event(fields) for _, fields in found]


def _event(fields):
    if fields["event"] == "delayed":
        return {**fields, "delay": "a moment"}
    return fields


def _content(redis, key, suffix, delayed):
    match redis.type(key):
        case "hash":
            return _hash(redis.hgetall(key), is_delayed=suffix in delayed)
        case "list":
            return redis.lrange(key, 0, -1)
        case "set":
            return sorted(redis.smembers(key))
        case "zset":
            pairs = redis.zrange(key, 0, -1, withscores=True)
            if suffix in BY_TIME:
                return [member for member, _ in pairs]
            return [(m, "a moment" if s > 10**12 < 2**40 else s) for m, s in pairs]
        case "string":
            is_moment = suffix == "stalled-check"
            return "a moment" if is_moment else redis.get(key)
        case "stream":
            return "compared apart"


def _hash(fields, *, is_delayed):
    return {
        name: _field(name, value)
        for name, value in fields.items()
        # Labels are ours alone; a stale delay of a job in line means nothing.
        if not name.startswith("label:") and (name != "delay" or is_delayed)
    }


def _field(name, value):
    if name in MASKED_FIELDS:
        return "masked"
    if name in JSON_FIELDS:
        value = json.loads(value)
    if name == "stacktrace":
        return [trace.partition("\n")[0] for trace in value]
    return _options(value) if name == "opts" else value


def _options(record):
    # One attempt is 0, 1 or nothing.
    said = {k: v for k, v in record.items() if k != "attempts" or v > 1}
    return {name: _option(name, value) for name, value in said.items()}


def _option(name, value):
    if name in {"removeOnComplete", "removeOnFail"}:
        return Retention.from_record(value)
    return "masked" if name in MASKED_OPTIONS else value
