"""Uses of an exact likelihood, each a command: ``python -m examples.uses.denoise``."""
