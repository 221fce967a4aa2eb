"""``python -m myia_sdk.cli``: ``myia`` where its script is not on the path."""

from __future__ import annotations

from myia_sdk.cli import main

main()
