"""Exported files of tiny generators."""

from exporting import exported, pictures, runs

__all__ = ["exported", "pictures", "runs"]
