"""What a model has learned: strength of pairs of fields, importance of fields, its layers. From any bundle."""
