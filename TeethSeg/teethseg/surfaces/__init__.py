"""Surfaces of teeth: closed meshes from label maps, checks of meshes, and mesh files."""
