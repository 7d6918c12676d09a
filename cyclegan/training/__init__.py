"""Training: the step, the loop, and what changes meanwhile."""
