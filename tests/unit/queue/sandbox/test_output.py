"""What a job prints is cut into the same lines however it is read."""

from __future__ import annotations

import pytest

from myia_sdk.queue.sandbox.output import OutputLines

PRINTED = b"10%\r50%\r100%\ntwo\r\n\rleading\rrepainted\n\nlast 1\rlast 2\r"
LINES = ["100%", "two", "repainted", "", "last 2"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(PRINTED)])
def test_lines_do_not_depend_on_the_pieces_in_which_they_are_read(size):
    cutter, found = OutputLines(), []
    for start in range(0, len(PRINTED), size):
        found += cutter.feed(PRINTED[start : start + size])
    assert [*found, *cutter.finish()] == LINES
    assert cutter.finish() == []
