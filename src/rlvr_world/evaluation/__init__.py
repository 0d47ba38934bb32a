"""Tables of metrics over a test split, with baselines and seeds."""
