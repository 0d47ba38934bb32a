"""Plain PyTorch networks; no Lightning, no files of configuration."""
