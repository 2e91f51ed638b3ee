"""The recipe `gpt`: a character-level language model."""
