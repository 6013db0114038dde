"""The version of Cronsched."""

__version__ = "0.1.0"
