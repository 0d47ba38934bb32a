"""A local page on which a person steps a world model."""
