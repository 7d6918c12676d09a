"""Comparison of runs by eye: one page, and votes that don't know whose picture they are for."""
