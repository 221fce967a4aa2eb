"""All commands of ``myia``, and ``python -m myia_sdk.cli``."""

from __future__ import annotations

from myia_sdk.cli import (
    administration,
    certificates,
    certifications,
    models,
    services,
    status,
    suites,
)
from myia_sdk.cli.app import app

for room in (
    services,
    certifications,
    certificates,
    status,
    administration,
    suites,
    models,
):
    room.install(app)


def main() -> None:
    """Run ``myia``; the entry point of the distribution."""
    app(prog_name="myia")


if __name__ == "__main__":
    main()
