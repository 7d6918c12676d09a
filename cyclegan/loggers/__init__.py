"""Loggers: what is shown and kept while training."""
