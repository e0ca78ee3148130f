"""From a picture to calibrated signals: evidence, geometry, rows, traces, layout, calibration."""
