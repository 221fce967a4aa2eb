"""``myia``: the SDK on the command line."""

from __future__ import annotations

from myia_sdk.cli import (
    certificates,
    certifying,
    keys,
    managing,
    registering,
    running,
    scheduling,
    suites,
    tuning,
    watching,
)
from myia_sdk.cli.app import app

__all__ = ["app", "main"]

running.install(app)
certifying.install(app)
certificates.install(app)
watching.install(app)
managing.install(app)
tuning.install(app)
suites.install(app)
keys.install(app)
registering.install(app)
scheduling.install(app)


def main() -> None:
    """Run ``myia``; the entry point of the distribution."""
    app(prog_name="myia")
