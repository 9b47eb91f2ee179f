"""The work of both windows: the case, its runs, corrections, annotation and exports, without a window.

Slicer's desktop (`panel`) and the page (`browser`) draw this layer and forward the user's actions to it. Nothing here imports
Qt, trame or the network; small protocols describe the services that a window provides. Scene classes may be used: both windows
have them. Packages that Slicer may lack before the first run are imported where they are used.
"""
