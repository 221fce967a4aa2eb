"""Metrics, intervals and their like: pure functions of arrays, each with its source.

Each agrees with scipy, statsmodels, scikit-learn or fairlearn to 1e-12, see the tests;
they are here because those libraries are large, or need a loop where one array
operation does. Thresholds and verdicts are elsewhere.
"""
