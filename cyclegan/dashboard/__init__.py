"""A Visdom server of one's own: its page, its environments, and how it runs beside a training."""
