"""One command for a bare machine with an accelerator, JAX and no network."""
