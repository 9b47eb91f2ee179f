"""Teeth in a Slicer scene, for the desktop panel and the page. Needs Slicer's scene classes, no window.

Slicer's coordinates are RAS (x to the patient's Right, y Anterior), TeethSeg's are LPS: x and y change sign in between.
"""
