"""Exported files and pages of tiny generators."""

from export.web_pages import cache, exported_page
from exporting import exported, pictures, runs

__all__ = ["cache", "exported", "exported_page", "pictures", "runs"]
