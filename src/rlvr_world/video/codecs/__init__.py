"""Frames and actions as token sequences."""
