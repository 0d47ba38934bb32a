"""Text games: states, judges, prompts, rewards, data."""
