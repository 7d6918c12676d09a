"""Losses: the terms that generators minimise and the adversarial objectives."""
