"""The SDK on the command line, ``myia``, and the magic ``%myia`` of notebooks.

A module a group of commands; they read arguments, call the client and print. What is
computed lives elsewhere.
"""
