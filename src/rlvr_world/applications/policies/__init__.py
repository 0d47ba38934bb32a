"""Policies judged in world models instead of the real world, and how far both judge alike."""
