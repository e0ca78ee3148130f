"""Simulated electrocardiograms, pages rendered from signals, and artefacts, all with exact truth."""
