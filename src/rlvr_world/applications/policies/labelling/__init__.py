"""A page on which a person judges clips without knowing what they are of."""
