"""Surfaces of teeth: label map to closed meshes, what makes a mesh sound, and the files they are written to."""
