"""Data for training and evaluation: records, pages rendered from them, labels, splits."""
