"""Builders of backbones; reached by name through `cinc_ecg.plugins` only."""
