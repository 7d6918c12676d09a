"""Conversion: a trained generator makes image sets out of image sets."""
