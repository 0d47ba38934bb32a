"""Sites to visit, some of them run here."""
