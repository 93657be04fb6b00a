"""Paper mode: models on fixed train, validation and test rows, over several seeds, compared."""
