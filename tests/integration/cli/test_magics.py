from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import myia_sdk
from myia_sdk import Client, Settings
from myia_sdk.errors import MyiaError


@pytest.fixture
def shell(tmp_path):
    # No files that other tests use at the same time: neither a history, nor the cache
    # of Jedi, which completes Python and not our words.
    config = Config()
    config.HistoryManager.enabled = False
    config.IPCompleter.use_jedi = False
    shell = InteractiveShell(config=config, ipython_dir=str(tmp_path / "ipython"))
    myia_sdk.load_ipython_extension(shell)
    yield shell
    myia_sdk.unload_ipython_extension(shell)
    assert shell.find_line_magic("myia") is None
    shell.history_manager.end_session()


@pytest.fixture
def client(redis_server, queue_name, tmp_path):
    settings = Settings(
        redis_url=redis_server.url,
        certification_queue_name=queue_name,
        myia_home=tmp_path,
    )
    with Client(settings) as client:
        yield client


def test_words_use_the_client_of_the_notebook(shell, client):
    shell.user_ns["mine"] = client
    counts = shell.run_line_magic("myia", "status")
    assert counts["jobs"].sum() == 0
    assert shell.run_line_magic("myia", "jobs failed").columns[0] == "id"
    with pytest.raises(MyiaError, match="boards"):
        shell.run_line_magic("myia", "boards")
    with pytest.raises(MyiaError, match="done"):
        shell.run_line_magic("myia", "jobs done")


def test_closed_clients_of_the_notebook_are_left_alone(shell, client):
    shell.user_ns["mine"] = client
    shell.user_ns["old"] = Client(client.settings)
    shell.user_ns["old"].close()
    assert shell.run_line_magic("myia", "workers").empty


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_words_and_states_are_completed(shell):
    assert "status" in shell.complete("s", "%myia s")[1]
    assert "failed" in shell.complete("f", "%myia jobs f")[1]
