"""One connection to a queue, and what works on it: submit, handles, batches, frames.

The facade :class:`myia_sdk.Client` stands above it, and above the panels.
"""
