"""Simulated heads and simulated cone-beam CT: from tooth shapes to labelled scans."""
