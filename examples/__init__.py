"""Examples that stand beside AOS and are no part of it."""
