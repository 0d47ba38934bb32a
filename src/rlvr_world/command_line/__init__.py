"""How commands read their options, and how a stage is trained with Lightning."""
