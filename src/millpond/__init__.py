"""Millpond: a corpus and training lakehouse."""

__version__ = "0.1.0"
