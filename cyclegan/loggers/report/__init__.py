"""`report.html`: everything about a run in one file that needs no server."""

from cyclegan.loggers.report.logger import ReportLogger

__all__ = ["ReportLogger"]
