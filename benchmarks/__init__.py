"""Measurements of this package beside public alternatives, in turn, in one run."""
