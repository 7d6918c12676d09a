"""Frozen networks that were trained on something else: what they see is compared."""
