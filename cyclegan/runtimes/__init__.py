"""Runtimes: what runs exported files."""
