"""SQL engines and the score tables."""
