"""DICOM in: `read_dicom` makes a volume of the files of a scan, in whatever shape a scanner or a viewer wrote them.

`sniff` tells DICOM files from others; `headers` reads one file's header and checks it against its pixels; `frames` makes one
list of planes from single files and multi-frame ones; `places` completes their geometry; `acquisitions` parts what shares a
series and is no stack; `series` groups files; `choice` picks the scan; `stacking` orders, and judges gaps, steps and tilt;
`pixels` decodes; `grey_values` rescales; `regridding` makes the grid upright and even; `reading` calls them all.
"""
