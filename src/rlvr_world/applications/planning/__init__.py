"""Plans of actions, searched in a world model."""
