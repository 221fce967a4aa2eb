"""Every command of the queue: add, claim, finish, read, search, control, clean.

Each change is one atomic script. Who runs jobs, and when, is the consumer's.
"""
