"""``python -m myia_sdk.worker``: a worker as the embedded server starts it."""

from __future__ import annotations

import sys

from myia_sdk.errors import MyiaError

try:
    from myia_sdk.worker.worker import main
except MyiaError as error:
    raise SystemExit(str(error)) from None

if __name__ == "__main__":
    sys.exit(main())
