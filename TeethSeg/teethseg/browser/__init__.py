"""The whole job in a web browser, on 3D Slicer's own core: load, segment, correct, export. Started by `teethseg serve`.

One process serves one user. `app` joins the parts; each part owns one concern of the page, its controls and what they do:
`loading`, `views`, `segmenting`, `chart`, `correcting`, `pointing`, `panorama`, `worklist`, `exporting`, `recovery`, `tabs`.
Whatever computes on arrays lies below, in the library that the desktop panel uses too.
"""
