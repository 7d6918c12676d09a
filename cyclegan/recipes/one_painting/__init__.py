"""One painting: a generator that learns one picture's style, or those of several."""
