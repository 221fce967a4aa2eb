"""Ticks of job schedulers: arithmetic, cron, time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs.timetable import Tick, Timetable

SECOND = timedelta(seconds=1)


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def iso(tick):
    moment = datetime.fromtimestamp(tick.at_ms / 1000, UTC)
    return moment.isoformat().removesuffix("+00:00")


def test_the_first_run_of_every_is_now_and_sets_the_grid():
    assert Timetable(every=SECOND).first(10_250) == Tick(10_250, 250)


def test_an_offset_waits_for_its_place_on_the_grid():
    table = Timetable(every=SECOND, offset=timedelta(milliseconds=400))
    assert table.first(10_250) == Tick(10_400, 400)
    assert table.first(10_400) == Tick(11_400, 400)


def test_a_start_in_the_future_is_the_first_run():
    assert Timetable(every=SECOND, start_ms=99_000).first(10_250).at_ms == 99_000
    assert Timetable(every=SECOND, start_ms=5_000).first(10_250).at_ms == 10_250


def test_missed_ticks_are_one_run_and_then_the_grid_again():
    table = Timetable(every=SECOND)
    assert table.after(10_250, 10_300, 250).at_ms == 11_250
    assert table.after(10_250, 17_900, 250).at_ms == 18_250
    assert table.after(10_250, 17_100, 250).at_ms == 17_250


@settings(deadline=None)
@given(
    every=st.integers(1, 10**7),
    previous=st.integers(10**12, 2 * 10**12),
    late=st.integers(0, 10**8),
)
def test_the_next_tick_is_later_and_on_the_grid(every, previous, late):
    table = Timetable(every=timedelta(milliseconds=every))
    now = previous + late
    tick = table.after(previous, now, previous % every)
    assert tick.at_ms > previous
    assert now <= tick.at_ms <= now + every
    assert (tick.at_ms - previous) % every == 0


@pytest.mark.parametrize(
    ("pattern", "tz", "after", "expected"),
    [
        ("*/15 * * * *", None, "2026-11-23T19:50:00Z", "2026-11-23T20:00:00"),
        ("30 2 * * * *", None, "2026-11-23T19:50:00Z", "2026-11-23T20:02:30"),
        ("0 9 * * 1-5", "Europe/Paris", "2026-11-23T19:50:00Z", "2026-11-24T08:00:00"),
        ("0 9 * * MON", "Asia/Tokyo", "2026-11-23T19:50:00Z", "2026-11-30T00:00:00"),
        ("@daily", None, "2026-11-23T19:50:00Z", "2026-11-24T00:00:00"),
        ("0 0 ? * *", None, "2026-11-23T00:00:00Z", "2026-11-24T00:00:00"),
        # The hour that summer time leaves out: right after it.
        ("30 2 * * *", "Europe/Paris", "2027-03-27T12:00:00Z", "2027-03-28T01:00:00"),
        # The hour that comes twice: once, then the next day.
        ("30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00"),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00"),
    ],
)
def test_cron_patterns(pattern, tz, after, expected):
    assert iso(Timetable(pattern=pattern, tz=tz).first(ms(after))) == expected


def test_a_pattern_that_never_matches_has_no_tick():
    with pytest.raises(ConfigurationError, match="not a cron pattern"):
        Timetable(pattern="0 0 30 2 *")


def test_limit_and_end():
    table = Timetable(every=SECOND, limit=2, end_ms=50)
    assert table.allows(2, 50)
    assert not table.allows(3, 50)
    assert not table.allows(1, 51)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either every"),
        ({"every": SECOND, "pattern": "* * * * *"}, "not both"),
        ({"every": timedelta(0)}, "millisecond"),
        ({"every": SECOND, "offset": -SECOND}, "offset"),
        ({"pattern": "* * * * *", "offset": SECOND}, "offset"),
        ({"every": SECOND, "limit": 0}, "limit"),
        ({"pattern": "61 * * * *"}, "61 .*not a cron pattern"),
        ({"pattern": "* * *"}, "not a cron pattern"),
        ({"pattern": "* * * * *", "tz": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_nonsense_is_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        Timetable(**options)


@pytest.mark.parametrize("stored", [{"every": "soon"}, {}, {"pattern": "bad"}])
def test_a_malformed_definition_is_refused(stored):
    with pytest.raises(ConfigurationError):
        Timetable.from_hash(stored)


def test_a_definition_round_trips():
    table = Timetable(pattern="0 9 * * *", tz="Europe/Paris", limit=3, end_ms=9)
    stored = {name: str(value) for name, value in table.to_record().items()}
    assert Timetable.from_hash(stored) == table
