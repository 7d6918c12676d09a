"""Pictures of any size through a generator, part by part, in bounded memory."""
