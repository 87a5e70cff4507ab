"""Searches replayed on a table of finished trainings: what a sampler finds and what it costs, without training."""
