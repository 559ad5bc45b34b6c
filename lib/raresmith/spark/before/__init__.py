"""Before a run: what it would do, and a configuration for a table of which nothing is known."""
