"""The desktop panel: Qt widgets that draw the state of `application` and forward the user's actions to it.

A module named `*_section` is a section of the panel. No module computes on images: the library does.
"""
