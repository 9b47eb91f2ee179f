"""The desktop panel: widgets of Slicer that draw what `application` knows and hand on what the user does.

Those parts that know Qt end in `_section`, or are `chart_view`, `dialogs`, `context` and `option_widgets`. No part computes on
images: the library does.
"""
