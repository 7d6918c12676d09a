"""Export: a trained generator as a file for other runtimes."""
