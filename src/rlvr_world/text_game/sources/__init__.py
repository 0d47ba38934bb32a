"""Published and generated text games as shards."""
