"""From an exception to a category, and what to do about it.

What follows for a verdict is decided in :mod:`myia_sdk.certification.verdict`.
"""
