"""Simulators and published data sets as shards of episodes."""
