"""The checks of one run: what they need, how many at once, each an outcome.

What the outcomes mean together is judged in :mod:`myia_sdk.certification.verdict`.
"""
