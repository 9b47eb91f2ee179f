"""Pictures for reports: slices with outlines of the teeth, and rendered surfaces."""
