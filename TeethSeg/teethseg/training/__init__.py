"""Training of both stages on simulated heads and on the user's own labelled scans."""
