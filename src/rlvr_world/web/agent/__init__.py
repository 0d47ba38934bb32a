"""An agent in a browser that imagines what its actions lead to before it acts."""
