"""A suite as users write one."""

from __future__ import annotations

OWN_SUITE = """
[suite]
id = "mine"
version = "1"
kind = "classifier"

[[check]]
id = "beats-dummy"
severity = "critical"
"""
