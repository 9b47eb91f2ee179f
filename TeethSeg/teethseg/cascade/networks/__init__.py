"""Architectures of the networks, and their table."""
