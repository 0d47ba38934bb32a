"""Recorded and published steps on web pages as shards."""
