"""What a game state, a page or a simulator scene is; plain Python, no torch."""
