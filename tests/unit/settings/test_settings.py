from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from myia_sdk.errors import ConfigurationError
from myia_sdk.settings import Settings
from myia_sdk.settings.settings import variables

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_dotenv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def example() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.M))


def test_defaults_are_those_of_the_setup_guide():
    settings = Settings()
    environment = settings.to_environment()
    guide = {
        "REDIS_HOST": "localhost",
        "REDIS_PORT": "6379",
        "REDIS_DB": "0",
        "BULL_QUEUE_PREFIX": "myia",
        "BULL_BOARD_PATH": "/admin/queues",
        "BULL_BOARD_USERNAME": "admin",
        "BULL_BOARD_PASSWORD": "admin123",
        "CERTIFICATION_QUEUE_NAME": "model-certification",
        "CERTIFICATION_CONCURRENCY": "3",
        "CERTIFICATION_TIMEOUT": "300000",
        "CERTIFICATION_MAX_RETRIES": "3",
    }
    assert {name: environment[name] for name in guide} == guide
    assert settings.redis_password is None
    assert settings.max_attempts == 4
    assert not settings.explicit_server


def test_env_example_lists_every_variable_with_its_default():
    listed = example()
    assert set(listed) == {variable.name for variable in variables()}
    for variable in variables():
        assert listed[variable.name] == variable.default.split(" (")[0]


def test_env_example_copied_unchanged_changes_nothing(tmp_path):
    text = (ROOT / ".env.example").read_text()
    (tmp_path / ".env").write_text(text)
    assert Settings().model_fields_set == set()
    # A copy must not hide the embedded server, nor the defaults of a profile.
    assert Settings(myia_profile="production").certification_concurrency == 5
    (tmp_path / ".env").write_text(re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.M))
    assert Settings().to_environment() == Settings(_env_file=None).to_environment()


def test_argument_beats_environment_beats_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        "REDIS_HOST=from-dotenv\nREDIS_PORT=1111\nREDIS_DB=1\nUNKNOWN=ignored\n"
    )
    monkeypatch.setenv("REDIS_PORT", "2222")
    monkeypatch.setenv("REDIS_DB", "2")
    settings = Settings(redis_db=3)
    assert (settings.redis_host, settings.redis_port, settings.redis_db) == (
        "from-dotenv",
        2222,
        3,
    )
    assert settings.explicit_server


def test_empty_values_count_as_not_given(monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "")
    monkeypatch.setenv("REDIS_PORT", "")
    settings = Settings()
    assert settings.redis_password is None
    assert settings.redis_port == 6379
    assert not settings.explicit_server


def test_production_profile_changes_defaults_only(monkeypatch):
    monkeypatch.setenv("MYIA_PROFILE", "production")
    monkeypatch.setenv("CERTIFICATION_CONCURRENCY", "8")
    settings = Settings()
    assert settings.certification_concurrency == 8
    assert settings.certification_timeout == 600_000
    assert settings.certification_max_retries == 5
    assert Settings(myia_profile="development").certification_timeout == 300_000


def test_one_error_names_each_bad_variable_its_value_and_what_is_allowed(monkeypatch):
    monkeypatch.setenv("REDIS_PORT", "70000")
    monkeypatch.setenv("CERTIFICATION_CONCURRENCY", "many")
    monkeypatch.setenv("REDIS_SENTINELS", "nonsense")
    monkeypatch.setenv("REDIS_URL", "http://user:hunter2@host")
    monkeypatch.setenv("CERTIFICATION_QUEUE_NAME", "a:b")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    text = str(caught.value)
    assert "REDIS_PORT is '70000'; allowed: an integer from 1 to 65535." in text
    assert "CERTIFICATION_CONCURRENCY is 'many'; allowed: an integer from 1" in text
    assert "REDIS_SENTINELS is 'nonsense'; allowed: host:port" in text
    assert "CERTIFICATION_QUEUE_NAME is 'a:b'" in text
    assert "REDIS_URL is '***'" in text
    assert "hunter2" not in text
    assert text.startswith("5 settings are not valid")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_db", -1),
        ("redis_url", "redis://host:99999"),
        ("certification_queue_name", "sdk"),
        ("bull_queue_prefix", "my ia"),
        ("bull_board_path", "admin"),
        ("certification_timeout", 0),
        ("certification_max_retries", -1),
        ("myia_profile", "staging"),
        ("myia_signing_key", "-----BEGIN PRIVATE KEY-----\nMC4"),
    ],
)
def test_bad_value_is_refused(name, value):
    with pytest.raises(ConfigurationError, match=name.upper()) as caught:
        Settings(**{name: value})
    assert "MC4" not in str(caught.value)


def test_unknown_argument_is_refused():
    with pytest.raises(ConfigurationError, match="redis_hots"):
        Settings(redis_hots="typo")


def test_cluster_needs_a_hash_tag():
    with pytest.raises(ConfigurationError, match="hash tag"):
        Settings(redis_cluster=True)
    assert Settings(redis_cluster=True, bull_queue_prefix="{myia}").redis_cluster


def test_secrets_show_nowhere():
    settings = Settings(
        redis_password="hunter2",
        redis_url="redis://:hunter2@host",
        bull_board_password="hunter2",
    )
    shown = f"{settings} {settings!r} {settings.model_dump_json()}"
    assert "hunter2" not in shown
    assert settings.to_environment()["REDIS_PASSWORD"] == "hunter2"


def test_settings_are_immutable_and_replaced_not_changed():
    settings = Settings(redis_host="a")
    with pytest.raises(ValueError, match="frozen"):
        settings.redis_host = "b"
    other = settings.replace(redis_port=7000)
    assert (other.redis_host, other.redis_port) == ("a", 7000)
    with pytest.raises(ConfigurationError, match="REDIS_PORT"):
        settings.replace(redis_port=0)


def test_environment_round_trip(monkeypatch):
    settings = Settings(redis_password="x", myia_home="here", worker_memory_limit=512)
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings().to_environment() == settings.to_environment()


def test_home_is_expanded():
    assert Settings().myia_home == Path.home() / ".myia"
    assert pickle.loads(pickle.dumps(Settings().myia_home)).is_absolute()


def test_unreadable_file_is_a_clear_error_without_its_content(tmp_path, monkeypatch):
    (tmp_path / ".env").write_bytes(b"REDIS_PASSWORD=canary\xff\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        Settings()
    assert "canary" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
