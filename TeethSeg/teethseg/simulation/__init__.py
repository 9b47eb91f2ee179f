"""Simulated heads and simulated cone-beam CT: the road from tooth shapes to labelled scans."""
