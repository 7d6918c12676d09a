"""Quality while training: measured now and then, and the best checkpoint kept."""
