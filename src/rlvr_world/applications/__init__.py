"""What world models are good for: acting with them."""
