"""The manifest: what an organization should be, as values; its schema, its reading, and what applying it would change."""
