"""One function in a child process that can be stopped, bounded and survived.

Knows processes and pipes; neither Redis nor what is run in the child.
"""
