"""Who set the rules: official suites, changed ones, those of others."""

import pytest

from myia_sdk.certification.request import (
    CertificationRequest,
    DatasetRef,
    ModelRef,
)
from myia_sdk.certification.suites import Suite, list_suites, load_suite
from myia_sdk.certification.suites.rules import (
    Allowed,
    Origin,
    Rules,
    origin_of,
    require_data,
)
from myia_sdk.errors import ConfigurationError, DatasetError, SuiteError
from myia_sdk.settings import Settings

DIGEST = "sha256:" + "a" * 64
SUITE = "classifier-baseline"


def request(suite=SUITE, **parameters):
    return CertificationRequest(
        model=ModelRef(kind="sklearn", name="m", artifact=DIGEST),
        suite=suite,
        dataset=DatasetRef(artifact=DIGEST, rows=3),
        parameters=parameters,
    )


@pytest.mark.parametrize("name", list_suites())
def test_suites_of_this_release_are_official(name):
    suite = load_suite(name)
    assert suite.version == "2.0.0"
    assert origin_of(suite) is Origin.OFFICIAL
    assert origin_of(Suite.from_record(suite.to_record())) is Origin.OFFICIAL


def test_a_request_s_changes_are_told():
    plain = Rules.of(request())
    assert (plain.origin, plain.overridden) == (Origin.OFFICIAL, ())
    easier = {"threshold": {"passed": 0.5}}
    changed = Rules.of(request(checks={"performance": easier, "latency": {}}))
    assert changed.origin is Origin.CHANGED
    assert changed.overridden == ("latency", "performance")
    assert changed.suite.digest != plain.suite.digest


def test_a_suite_that_takes_an_official_name_is_a_changed_one():
    record = load_suite(SUITE).to_record()
    fewer = {**record, "check": record["check"][:3]}
    assert Rules.of(request(fewer)).origin is Origin.CHANGED
    own = {**record, "suite": {**record["suite"], "id": "mine"}}
    assert Rules.of(request(own)).origin is Origin.OWN


@pytest.mark.parametrize("path", ["mine.toml", "/etc/passwd", "a/b"])
def test_a_path_in_a_request_is_not_read(path):
    with pytest.raises(SuiteError, match="names the suite file"):
        Rules.of(request(path))


def test_a_suite_may_name_its_data():
    record = {**load_suite(SUITE).to_record(), "data": {"digest": DIGEST}}
    suite = load_suite(record)
    assert suite.digest != load_suite(SUITE).digest
    assert load_suite(suite.to_record()) == suite
    assert Rules.of(request(record)).suite == suite
    require_data(suite, DIGEST)
    other = "sha256:" + "b" * 64
    with pytest.raises(DatasetError, match=f"is for the data {DIGEST}; given were"):
        require_data(suite, other)
    with pytest.raises(DatasetError, match="given were none"):
        require_data(suite, None)
    with pytest.raises(SuiteError, match=r"\[data\]: 'digest' is 'abc'"):
        load_suite({**record, "data": {"digest": "abc"}})
    with pytest.raises(SuiteError, match=r"\[data\] has unknown keys: 'name'"):
        load_suite({**record, "data": {"name": "abc"}})


def test_a_worker_may_allow_a_few_suites():
    suite = load_suite(SUITE)
    entry = f"{SUITE}@2.0.0={suite.digest}"
    allowed = Allowed.parse(f" {entry} , bank@3={DIGEST.removeprefix('sha256:')},")
    allowed.require(suite)
    assert allowed.entries[1] == ("bank@3", DIGEST)
    easier = {"performance": {"threshold": {"passed": 0.5}}}
    for refused in (suite.with_overrides(easier), load_suite("chat-baseline")):
        with pytest.raises(SuiteError, match=rf"{refused.digest}; MYIA_SUITES allows"):
            allowed.require(refused)
    Allowed.parse(None).require(suite)
    assert Settings(myia_suites=entry).suites == Allowed.parse(entry)


@pytest.mark.parametrize(
    "text",
    [
        SUITE,
        f"{SUITE}@2.0.0",
        f"{SUITE}={DIGEST}",
        f"@2.0.0={DIGEST}",
        f"{SUITE}@2.0.0=sha256:abc",
        f"{SUITE}@2.0.0=sha256:{'A' * 64}",
    ],
)
def test_what_is_no_list_of_suites_is_refused(text):
    with pytest.raises(ConfigurationError, match="MYIA_SUITES"):
        Settings(myia_suites=text)
