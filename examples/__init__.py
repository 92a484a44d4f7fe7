"""Examples that are run as they are."""
