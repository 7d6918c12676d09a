"""Execution: in which precision, layout and order the same mathematics is computed."""
