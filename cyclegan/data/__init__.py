"""Data: two folders become batches of tensors."""
