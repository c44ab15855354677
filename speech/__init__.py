"""Models and signal: a plain library with no queue, no store and no web server in it."""
