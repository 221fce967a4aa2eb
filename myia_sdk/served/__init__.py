"""The board as a web page, and the health and metrics endpoint of workers."""
