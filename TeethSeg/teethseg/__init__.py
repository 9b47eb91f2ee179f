"""TeethSeg: tooth segmentation and numbering in dental cone-beam CT."""

__version__ = "0.1.0"

NOTICE = "Research use, not a medical device."
