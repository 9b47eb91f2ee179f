"""The cascade: two networks, instances, numbering. Arrays in, `Dentition` out; no files, no Slicer."""
