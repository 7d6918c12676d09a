"""A study: presets compared after the same processor time, on pictures that chose nothing."""
