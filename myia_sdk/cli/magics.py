"""``%myia``: a few words instead of a few lines. Each has a method of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myia_sdk.errors import MyiaError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

WORDS = ("status", "jobs", "board", "certificates", "workers")


def register(shell: Any) -> None:
    """Add the magic to a shell."""
    magic = ClientMagic(shell)
    shell.register_magic_function(magic.run, "line", "myia")
    shell.set_hook("complete_command", magic.complete, str_key="%myia")


def unregister(shell: Any) -> None:
    """Take the magic away."""
    shell.magics_manager.magics["line"].pop("myia", None)


class ClientMagic:
    """Runs the words of ``%myia`` on a client of the notebook.

    The newest variable that holds an open client is used; without one, ``Client()``
    is made once.

    Parameters
    ----------
    shell : InteractiveShell
        Whose variables are looked at.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._own: Any = None

    def run(self, line: str) -> object:
        """``%myia status | jobs [STATE] | board | certificates | workers``."""
        word, *arguments = line.split() or ["status"]
        if word not in WORDS:
            raise MyiaError(f"%myia knows {', '.join(WORDS)}; not {word!r}.")
        client = self._client()
        match word:
            case "jobs":
                return client.jobs(arguments[0] if arguments else None)
            case "board":
                return client.board()
            case "certificates":
                return client.certificates()
            case "workers":
                return client.workers()
        return client.counts()

    def complete(self, shell: InteractiveShell, event: Any) -> list[str]:
        """Offer the words, and after ``jobs`` the states."""
        del shell
        if " jobs " in event.line:
            from myia_sdk.queue.jobs import JobState

            return [state.value for state in JobState]
        return list(WORDS)

    def _client(self) -> Any:
        from myia_sdk.facade import Client

        for value in reversed(list(self._shell.user_ns.values())):
            if isinstance(value, Client) and not value.is_closed:
                return value
        if self._own is None or self._own.is_closed:
            self._own = Client()
        return self._own
