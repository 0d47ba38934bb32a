"""LightningDataModules over WebDataset shards, and the one shard writer."""
