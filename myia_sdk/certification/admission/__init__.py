"""The door: what a submitter gives is checked, stored, and becomes a request.

A refused submission leaves nothing behind.
"""
