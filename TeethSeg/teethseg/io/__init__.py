"""Reading and writing of scans, segmentations and label maps. Files are written whole or not at all."""
