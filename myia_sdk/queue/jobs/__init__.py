"""Records of jobs, without any I/O: options, states, values, ids, timetables.

What reads or writes them in Redis is in :mod:`myia_sdk.queue.store`.
"""
