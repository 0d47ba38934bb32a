"""Sources of shards: simulators, games, a browser, published files."""
