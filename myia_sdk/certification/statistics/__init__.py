"""Metrics and intervals: pure functions of arrays, each with its source.

Thresholds and verdicts are elsewhere.
"""
