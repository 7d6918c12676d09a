"""Losses that look at pictures through a frozen network: content and style."""
