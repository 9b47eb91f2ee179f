"""The parts of the desktop panel.

Those that know Qt end in `_section`, or are `chart_view`, `dialogs` and `choices`; all others hold what the panel knows and
decides, without Qt, so that they can be tested on a scene alone. No part computes on images: the library does.
"""
