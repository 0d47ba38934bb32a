"""Published checkpoints of video tokenizers and transformers."""
