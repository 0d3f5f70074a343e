"""Onboard software of a station patrol robot: the listing of this folder is the pipeline."""
