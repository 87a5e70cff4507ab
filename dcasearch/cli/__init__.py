"""The command line: parses and prints; what it does is elsewhere."""

from dcasearch.cli.commands import main

__all__ = ["main"]
