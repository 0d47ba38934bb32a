"""Rewards: one metric each, as a torchmetrics ``Metric``."""
