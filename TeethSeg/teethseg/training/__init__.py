"""Training of both networks on simulated heads and on the user's own labelled scans."""
