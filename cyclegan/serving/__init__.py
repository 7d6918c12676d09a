"""A page and an HTTP endpoint that convert pictures with trained generators."""
