"""When a job scheduler runs: the arithmetic of its ticks, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs.options import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Tick(NamedTuple):
    """A run to make: when it is due, and the offset of its grid."""

    at_ms: int
    offset_ms: int


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """Ticks of a scheduler: every so often, or by a cron pattern.

    Parameters
    ----------
    every : timedelta, optional
        Distance of the ticks, at least 1 ms.
    pattern : str, optional
        Cron pattern of five fields, or of six with seconds first; ``@daily`` and the
        like. Exactly one of `every` and `pattern` is given.
    tz : str, optional
        IANA name of the time zone of `pattern`; UTC without it.
    offset : timedelta, optional
        Shift of the grid of `every`, which otherwise starts at the first run.
    limit : int, optional
        Most runs in all.
    start_ms, end_ms : int, optional
        No tick before, no tick after, epoch milliseconds.

    Raises
    ------
    ConfigurationError
        Something is missing, out of range or cannot be parsed.
    """

    every: timedelta | None = None
    pattern: str | None = None
    tz: str | None = None
    offset: timedelta | None = None
    limit: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.pattern is None):
            raise ConfigurationError(
                "A job scheduler needs either every= or pattern=, and not both."
            )
        if self.every is not None and milliseconds(self.every) < 1:
            raise ConfigurationError(f"every={self.every} is below one millisecond.")
        if self.offset is not None and (
            self.every is None or self.offset < timedelta(0)
        ):
            raise ConfigurationError(
                f"offset={self.offset} must not be negative and goes with every=."
            )
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError(f"limit={self.limit} allows no run at all.")
        if self.pattern is not None:
            self._cron_after(datetime(2000, 1, 1, tzinfo=UTC))

    @property
    def every_ms(self) -> int:
        """Distance of the ticks; 0 with a pattern."""
        return 0 if self.every is None else milliseconds(self.every)

    @cached_property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.tz or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigurationError(
                f"{self.tz!r} is not a time zone; use a name such as 'Europe/Paris'."
            ) from error

    def allows(self, run: int, now_ms: int) -> bool:
        """Whether run number `run`, counted from 1, may still be made."""
        if self.limit is not None and run > self.limit:
            return False
        return self.end_ms is None or now_ms <= self.end_ms

    def first(self, now_ms: int) -> Tick | None:
        """Return the first tick of a new scheduler; ``None`` when it has none."""
        if self.pattern is not None:
            return self._cron(now_ms)
        start, offset = self.start_ms, self._offset_ms
        if start is not None:
            at = max(start, now_ms)
        elif offset:
            at = self._aligned(now_ms, offset)
        else:
            at = now_ms
        return Tick(at, offset or at % self.every_ms)

    def after(self, previous_ms: int, now_ms: int, offset_ms: int) -> Tick | None:
        """Return the tick after the one at `previous_ms`.

        Parameters
        ----------
        previous_ms : int
            The tick that was run.
        now_ms : int
            Ticks that have passed are left out.
        offset_ms : int
            Of the grid, as the first tick set it.
        """
        if self.pattern is not None:
            return self._cron(max(previous_ms, now_ms))
        at = previous_ms + self.every_ms
        if at < now_ms:
            at = self._aligned(now_ms, offset_ms)
        return Tick(at, offset_ms or at % self.every_ms)

    @property
    def _offset_ms(self) -> int:
        return 0 if self.offset is None else milliseconds(self.offset)

    def _aligned(self, now_ms: int, offset_ms: int) -> int:
        at = now_ms // self.every_ms * self.every_ms + offset_ms
        return at if at > now_ms else at + self.every_ms

    def _cron(self, after_ms: int) -> Tick | None:
        start = max(after_ms, self.start_ms or 0)
        at = self._cron_after(datetime.fromtimestamp(start / 1000, UTC))
        return None if at is None else Tick(round(at.timestamp() * 1000), 0)

    def _cron_after(self, moment: datetime) -> datetime | None:
        text = (self.pattern or "").strip()
        fields = _NAMED.get(text.lower(), text).replace("?", "*")
        try:
            return next(CronSim(fields, moment.astimezone(self._zone)), None)
        except CronSimError as error:
            raise ConfigurationError(
                f"{self.pattern!r} is not a cron pattern ({error}); use five fields, "
                "minute hour day month weekday, or six with seconds first."
            ) from error

    def to_record(self) -> dict[str, object]:
        """Return the ``repeat`` member of the options of a run."""
        record: dict[str, object] = {
            "every": self.every_ms or None,
            "pattern": self.pattern,
            "tz": self.tz,
            "limit": self.limit,
            "startDate": self.start_ms,
            "endDate": self.end_ms,
        }
        return {name: value for name, value in record.items() if value is not None}

    @classmethod
    def from_hash(cls, stored: Mapping[str, str]) -> Timetable:
        """Read the definition that any client wrote.

        Raises
        ------
        ConfigurationError
            It makes no sense.
        """

        def number(name: str) -> int | None:
            text = stored.get(name)
            try:
                return None if text is None else int(float(text))
            except (ValueError, OverflowError) as error:
                raise ConfigurationError(
                    f"The scheduler's {name} is {text!r}, not a number."
                ) from error

        every = number("every")
        return cls(
            every=timedelta(milliseconds=every) if every else None,
            pattern=stored.get("pattern"),
            tz=stored.get("tz"),
            limit=number("limit"),
            start_ms=number("startDate"),
            end_ms=number("endDate"),
        )
