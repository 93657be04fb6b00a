"""One file for each model; each reads like its equation. Field ids (B, S) in, logits (B,) out."""

GBDT_NAME = "gbdt"
"""Name of the one model that is not a network."""
