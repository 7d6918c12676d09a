"""Evaluation: how good converted pictures are, for a trained run or between two folders."""
