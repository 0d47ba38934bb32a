"""Metrics of predicted frames."""
