"""``myia demo``, ``up``, ``worker`` and ``board``: what runs until it is stopped."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from myia_sdk.cli.app import console, open_client
from myia_sdk.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.queue.consumer import BullConsumer


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(up)
    app.command()(worker)
    app.command()(board)


def demo(
    timeout: Annotated[
        float, typer.Option(help="Longest wait for the three verdicts, seconds.")
    ] = 300.0,
) -> None:
    """Certify three real models on real data; one of them must fail."""
    from myia_sdk.cli.demo import Demonstration, make_exhibits
    from myia_sdk.facade import Client

    # First, since it fails where scikit-learn is missing: no server for nothing.
    exhibits = make_exhibits()
    console.print("Starting a server and a worker ...")
    with Client.local(workers=1) as client:
        console.print(client.describe(), highlight=False, soft_wrap=True)
        is_as_expected = Demonstration(client, console).run(exhibits, timeout)
    raise typer.Exit(0 if is_as_expected else 1)


def up(
    workers: Annotated[int, typer.Option(min=0, help="Worker processes.")] = 1,
) -> None:
    """Run a server and workers until Ctrl-C."""
    from myia_sdk.facade import Client

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with Client.local(workers=workers) as client:
        console.print(client.describe(), highlight=False, soft_wrap=True)
        console.print(
            f"{workers} worker(s), logs in {client.settings.myia_home / 'logs'}. "
            "Other processes find this server with Client() or `myia`. "
            "Ctrl-C stops it; the data stay.",
            highlight=False,
        )
        try:
            stopped.wait()
        except KeyboardInterrupt:
            console.print("Stopping ...")


def worker(
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", "-w", min=1, help="Jobs at once."),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(min=0, help="Port of the health endpoint; 0 is none."),
    ] = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C; running jobs may finish in time."""
    from myia_sdk.server import find_server
    from myia_sdk.worker.worker import resolve_settings, run

    logging.getLogger().setLevel(logging.INFO)

    changes = {
        "certification_concurrency": concurrency,
        "worker_health_port": health_port,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = resolve_settings()
    if not settings.explicit_server:
        # A named server is waited for; without a name there is nothing to wait for.
        find_server(settings).close()
    chosen = settings.replace(**given) if given else settings

    @contextmanager
    def health(consumer: BullConsumer) -> Iterator[None]:
        if not chosen.worker_health_port:
            yield
            return
        from myia_sdk.board.health import HealthServer

        server = HealthServer(
            consumer.health, chosen.worker_health_port, store=consumer.huey.store
        )
        try:
            yield
        finally:
            server.close()

    run(chosen, beside=health)


def board(
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show everything, change nothing.")
    ] = False,
    redact: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Called with field and value of a job, returns what may be shown.",
        ),
    ] = None,
) -> None:
    """Serve the board as a page until Ctrl-C; BULL_BOARD_* say where and for whom."""
    try:
        from myia_sdk.board.app import load_redact
        from myia_sdk.board.app import run as serve
    except ImportError as error:
        raise MissingExtraError("board", "the served board") from error
    # Where the board is, and warnings about who can reach it, are for the user.
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    with open_client() as client:
        hook = load_redact(redact) if redact else None
        serve(client.connection, is_read_only=read_only, redact=hook)
