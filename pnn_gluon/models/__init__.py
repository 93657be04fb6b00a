"""One file for each model; each reads like its equation. Field ids (B, S) in, logits (B,) out."""
