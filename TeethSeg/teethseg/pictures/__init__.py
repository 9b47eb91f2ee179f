"""Pictures for reports: slices with the outlines of the teeth, and the meshes seen from five sides."""
