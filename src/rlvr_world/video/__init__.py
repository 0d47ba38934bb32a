"""Video with actions: tokens, rewards, scenes, data."""
