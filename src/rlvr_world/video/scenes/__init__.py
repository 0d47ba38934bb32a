"""Where the objects of a scene are, by the simulator's state and in pictures."""
