"""Files: scans, segmentations and label maps in the formats of the field, written whole or not at all."""
