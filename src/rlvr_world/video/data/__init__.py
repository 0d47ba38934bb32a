"""Clips and tokens of video from shards."""
