"""Metrics of a segmentation against a reference, and reports of them."""
