"""Tables of the command line: what fits stays whole, pipes and scripts get all."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from rich.console import Console

from myia_sdk.cli.app import show_frame

FRAME = pd.DataFrame(
    {
        "id": [f"mwtv5zowewygo618l{n}" for n in range(3)],
        "state": pd.Categorical(["completed", "failed", "waiting"]),
        "reason": [None, "timed out after 300 s, as the two attempts before it", None],
        "score": pd.array([98.25, None, None], dtype="Float64"),
        "created_at": pd.to_datetime(["2026-11-23T22:55Z"] * 3),
        "duration": pd.to_timedelta([1500, None, None], unit="ms"),
    }
)


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that makes the console a terminal of a width."""

    def make(width: int) -> io.StringIO:
        screen = io.StringIO()
        console = Console(
            file=screen, width=width, force_terminal=True, color_system=None
        )
        monkeypatch.setitem(show_frame.__globals__, "console", console)
        return screen

    return make


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_ids_are_never_broken_and_lines_never_longer(terminal, width):
    screen = terminal(width)
    show_frame(FRAME, list(FRAME.columns))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for name in FRAME["id"]:
        assert sum(name in line for line in lines) == 1


def test_narrow_terminal_names_what_it_leaves_out(terminal):
    screen = terminal(60)
    show_frame(FRAME, list(FRAME.columns))
    text = " ".join(screen.getvalue().split())
    assert "A wider terminal also shows" in text
    assert "created at" in text.partition("A wider terminal")[2]


def test_pipe_gets_every_column_whole(capsys):
    show_frame(FRAME, list(FRAME.columns))
    text = capsys.readouterr().out
    assert "timed out after 300 s, as the two attempts before it" in text
    assert "2026-11-23 22:55:00" in text
    assert "1.5 s" in text
    assert "nan" not in text.lower()


def test_json_has_every_column_and_null_for_what_is_missing(capsys):
    show_frame(FRAME, ["id"], as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [set(row) for row in rows] == [set(FRAME.columns)] * 3
    assert rows[0]["score"] == 98.25
    assert rows[1]["score"] is None
    assert rows[0]["created_at"].startswith("2026-11-23T22:55:00")


def test_more_rows_than_shown_are_announced(terminal):
    screen = terminal(80)
    frame = FRAME.copy()
    frame.attrs["truncated"] = True
    show_frame(frame, ["id"])
    assert "--limit shows more than 3 rows" in screen.getvalue()
