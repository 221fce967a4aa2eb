"""The board as a web page, and the health and metrics endpoints of workers.

What it shows is the panels'; here is who may see it.
"""
