"""`python -m raresmith` is the command line."""

from raresmith.cli import entry

entry()
