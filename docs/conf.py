"""How Sphinx makes pages of these texts: see scripts/docs.sh."""

from cyclegan import __version__

project = "cyclegan"
author = "the cyclegan authors"
copyright = f"2026, {author}"
release = __version__
extensions = ["myst_parser"]
# The notebook is for Jupyter: a page of it would need its outputs stored.
exclude_patterns = ["notebooks"]
html_theme = "furo"
myst_heading_anchors = 3
