"""The whole job in a web browser, on 3D Slicer's own core: load, segment, correct, export. Started by `teethseg serve`.

One process serves one user. `app` joins the components to a `host`. Each owns one concern of the page, its controls and
their handlers: `loading`, `views`, `segmentation`, `chart`, `correction`, `brushes`, `view_clicks`, `panorama`, `annotation`,
`export`, `recovery`, `tabs`. `controls` builds the controls that several of them have. All logic lies below, in `application`,
which the desktop panel shares.
"""
