"""Redis itself: connections in every shape, names of keys, the server's clock, scripts.

Knows keys and commands, but no job: what a command means is the store's.
"""
