"""Version of this package, which records and model cards name."""

__version__ = "0.2.0"
