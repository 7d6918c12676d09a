"""Video files: frames in, segments of encoded frames out, joined with the sound of the input."""
