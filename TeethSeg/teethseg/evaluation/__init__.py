"""Metrics of a segmentation against a reference, and their reports."""
