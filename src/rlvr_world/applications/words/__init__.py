"""Worlds in words, text games and web pages, whose steps a model says."""
