"""What a day's model is worth, as pages and tables that people decide on."""
