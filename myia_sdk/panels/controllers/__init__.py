"""What panels know and do, in plain Python: no widgets, no browser, no threads."""
