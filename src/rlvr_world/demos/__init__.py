"""Whole paths in one command."""
