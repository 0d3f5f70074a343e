"""A simulated station: one ground truth, seen by cameras and a thermal sensor that speak the real wire."""
