"""The work of both windows: the case, its runs, corrections, annotation and exports, without a window.

Slicer's desktop (`panel`) and the page (`browser`) draw this layer and hand on the user's actions. Qt, trame and
the network are not known here; small protocols name the services of a window. Scene classes may be used, for they are
the same in both; packages that Slicer may lack before the first run are imported where they are used.
"""
