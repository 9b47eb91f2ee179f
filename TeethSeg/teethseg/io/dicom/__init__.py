"""DICOM import: `read_dicom` builds a volume from the files of a scan, whichever scanner or viewer wrote them.

The modules, in the order in which data pass them:

- `sniff` recognises DICOM files by their first bytes.
- `headers` reads the header of one file and checks it against the length of its pixels.
- `frames` makes one list of planes from single-frame and multi-frame files.
- `frame_geometry` completes the position, orientation and spacing of frames.
- `acquisitions` splits series that hold several acquisitions.
- `series` groups frames into series.
- `choice` chooses the series that is the scan.
- `stacking` orders the frames and judges gaps, uneven steps and gantry tilt.
- `pixels` reads or decodes the stored pixels.
- `grey_values` rescales them.
- `regridding` resamples uneven or tilted stacks onto an even grid.
- `reading` calls all of them.
"""
