"""Gluon blocks: embeddings, products, interactions, multilayer perceptrons. Tensors in, tensors out."""
