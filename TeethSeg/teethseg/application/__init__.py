"""What both windows do: the case, its runs, corrections, annotation and exports, without a window.

Slicer's desktop (`panel`) and the page (`browser`) draw what stands here and hand on what the user does. Qt, trame and
the network are not known here; what a window has to offer is asked for by small protocols. Scene classes may be used,
for they are the same in both; what Slicer may lack before the first run is imported where it is used.
"""
