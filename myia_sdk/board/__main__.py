"""``python -m myia_sdk.board``: serve the board of the settings' queue."""

from __future__ import annotations

import argparse
import logging

from myia_sdk.board.app import load_redact, run
from myia_sdk.errors import ConfigurationError
from myia_sdk.facade import Client


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m myia_sdk.board")
    parser.add_argument(
        "--read-only", action="store_true", help="show everything, change nothing"
    )
    parser.add_argument(
        "--redact",
        metavar="MODULE:FUNCTION",
        help="called with field and value of a job, returns what may be shown",
    )
    options = parser.parse_args()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO
    )
    try:
        redact = load_redact(options.redact) if options.redact else None
    except ConfigurationError as error:
        parser.error(str(error))
    with Client() as client:
        run(client.connection, is_read_only=options.read_only, redact=redact)


if __name__ == "__main__":
    main()
