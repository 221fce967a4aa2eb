"""Reports show every check, in every format, and let no text of a model through."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from myia_sdk.certification.checks import Outcome, Threshold
from myia_sdk.certification.report import FORMATS, Report, compare, drift_notice, render
from myia_sdk.certification.report.comparison import Change
from myia_sdk.certification.report.rendering.wording import duration, limit, number
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import CertificationError, ComparisonError
from tests.helpers.reports import make_check, make_report

HOSTILE = "<script>alert(1)</script> | ![x](http://evil) \x1b[31m\x00 & \"'"


@pytest.mark.parametrize("form", FORMATS)
def test_every_check_is_shown_with_its_numbers(form):
    report = make_report()
    text = render(report, form)
    for record in report.checks:
        assert record.id in text
    for shown in ("0.93", "0.89", "0.96", "114", "0.8", "Add noise", "TIMEOUT"):
        assert shown in text, shown
    assert "83.3" in text


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(CertificationError, match="junit"):
        render(make_report(), "pdf")


class Balance(HTMLParser):
    """Checks that elements close in order; finds scripts and links."""

    VOID = frozenset({"meta", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.seen.update(name for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def hostile_report() -> Report:
    return make_report(
        model={"kind": "openai", "name": HOSTILE},
        region=HOSTILE,
        reasons=(HOSTILE,),
        checks=(
            make_check(
                outcome=Outcome.FAILED,
                title=HOSTILE,
                message=HOSTILE,
                category=HOSTILE,
                unit=HOSTILE,
                suggestions=(HOSTILE,),
            ),
            make_check("skipped", outcome=Outcome.SKIPPED, message=HOSTILE),
        ),
    )


def test_the_page_is_self_contained_and_escapes_everything():
    page = render(hostile_report(), "html")
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert not parser.seen & {"script", "a", "img", "link", "src", "href", "onclick"}
    assert "<script" not in page
    assert "color-scheme" in page


def test_junit_is_xml_whatever_a_model_says():
    for report in (make_report(), hostile_report()):
        suite = ET.fromstring(render(report, "junit")).find("testsuite")
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
    suite = ET.fromstring(render(make_report(), "junit")).find("testsuite")
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["5", "1", "1", "1"]
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert cases["noise"].find("failure") is not None
    assert cases["leakage"].find("error").get("type") == "TIMEOUT"
    assert cases["calibration"].find("failure") is None


def test_text_and_markdown_let_no_control_character_or_markup_through():
    report = hostile_report()
    assert "\x1b" not in render(report, "text")
    markdown = render(report, "md")
    assert "\x1b" not in markdown
    assert "<script" not in markdown
    assert "\\[x\\](http" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(report.checks)
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_json_is_the_report_itself():
    report = make_report()
    assert Report.from_record(json.loads(render(report, "json"))) == report


def test_a_report_without_checks_is_still_shown():
    for form in FORMATS:
        assert render(make_report(checks=()), form)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (0.0, "0"),
        (1.0, "1"),
        (0.123456, "0.1235"),
        (12.3456, "12.35"),
        (0.5, "0.5"),
        (123456.7, "1.235e+05"),
        (1e-9, "1e-09"),
        (-0.25, "-0.25"),
    ],
)
def test_numbers_have_four_significant_digits(value, written):
    assert number(value) == written


def test_thresholds_and_durations_are_words_for_people():
    threshold = Threshold(comparator="<=", passed=2.0, warned=5.0)
    assert limit(threshold, "s") == "≤ 2 s, warned ≤ 5 s"
    assert limit(Threshold(passed=0.8, rule="bound")) == "≥ 0.8 by its bound"
    assert limit(None) == limit(Threshold()) == ""
    assert [duration(ms) for ms in (12.4, 1500, 125_000)] == [
        "12 ms",
        "1.5 s",
        "2 min 5 s",
    ]


def test_reports_are_compared_check_by_check():
    before = make_report()
    after = make_report(
        checks=(
            make_check(value=0.6, ci_low=0.5, ci_high=0.7, outcome=Outcome.FAILED),
            make_check("calibration", outcome=Outcome.PASSED, value=0.9),
            *before.checks[2:],
        ),
        score=70.0,
        verdict=Verdict.QUALITY_WARNING,
    )
    comparison = compare(before, after)
    assert comparison.score_difference == pytest.approx(-13.3)
    first, second, third, fourth, fifth = comparison.checks
    assert (first.change, first.is_significant) == (Change.WORSENED, True)
    assert first.difference == pytest.approx(-0.33)
    assert first.relative == pytest.approx(-0.33 / 0.93)
    assert (second.change, second.is_significant) == (Change.IMPROVED, False)
    assert third.change is Change.SAME
    assert fourth.change is fifth.change is Change.INCOMPARABLE
    assert comparison.with_change(Change.WORSENED) == (first,)


def test_a_comparison_of_different_suites_or_data_is_refused():
    before = make_report()
    with pytest.raises(ComparisonError, match="suites"):
        compare(before, make_report(suite_digest="sha256:" + "6" * 64))
    with pytest.raises(ComparisonError, match="datasets"):
        compare(before, make_report(dataset={"artifact": "sha256:" + "f" * 64}))


def test_a_silently_changed_model_is_noticed():
    old = {"model": "small-1", "system_fingerprint": "fp_1", "n_classes": 2}
    assert drift_notice(old, old) is None
    assert drift_notice(old, {"model": "small-1"}) is None
    notice = drift_notice(old, {**old, "system_fingerprint": "fp_2"})
    assert "'fp_1'" in notice
    assert "'fp_2'" in notice
    comparison = compare(
        make_report(resolved=old), make_report(resolved={"model": "small-2"})
    )
    assert comparison.drift == {"model": ("small-1", "small-2")}
