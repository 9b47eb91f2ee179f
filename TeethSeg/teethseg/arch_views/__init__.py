"""Panorama and cross-sections along the dental arches: arrays in, arrays and pictures out.

frame       where up, left and back are for this dentition
curve       the line along an arch, from the teeth or from a few points
arches      both lines, and which of them a height in the patient belongs to
box         the part of the scan around the arches, along the axes of the frame
panorama    the arches unrolled
sections    slices across the arch
outlines    teeth in either, with their numbers
measures    distances and angles in the patient
"""
