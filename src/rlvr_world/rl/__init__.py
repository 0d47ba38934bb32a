"""Sampling, advantages and losses."""
