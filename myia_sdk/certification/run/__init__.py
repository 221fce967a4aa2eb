"""One run: what its checks need, how many go on at once, each an outcome.

What the outcomes mean together is judged in :mod:`myia_sdk.certification.verdict`.
"""
