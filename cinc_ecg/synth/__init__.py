"""Simulated electrocardiograms, rendered pages and artefacts, all with exact truth."""
