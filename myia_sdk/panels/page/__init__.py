"""The browser's part of the panels: script, styles, texts, and static copies."""
