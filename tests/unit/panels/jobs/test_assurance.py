"""What the panel shows of why a verdict is what it is."""

import pytest

from myia_sdk.panels.jobs.rows import assurance_row
from tests.helpers.reports import make_report


def test_reasons_and_assurance_of_a_report():
    record = make_report(
        reasons=("Not certified, for <b>.",), coverage=0.77, level=2
    ).to_record()
    assert assurance_row(record) == {
        "reasons": ["Not certified, for <b>."],
        "coverage": 0.77,
        "level": 2.0,
    }


def test_a_report_by_the_old_rules_has_no_level():
    record = make_report(reasons=("Score 90.",)).to_record()
    del record["coverage"], record["level"]
    assert assurance_row(record)["coverage"] is None


@pytest.mark.parametrize("value", [None, 5, "x", [], {"reasons": "x"}, {}])
def test_what_is_no_report_has_none(value):
    assert assurance_row(value) is None
