"""Fusion: a network that takes on any picture's style."""
