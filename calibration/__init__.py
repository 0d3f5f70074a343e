"""The technician's calibration: one file format, and the commands that write it."""
