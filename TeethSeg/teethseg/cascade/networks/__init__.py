"""Architectures of the networks, and a table of their layers."""
