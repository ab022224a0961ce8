"""Settings of the site that `make docs` builds from the pages here."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools"), str(ROOT / "docs" / "site")]

from alum.version import __version__  # noqa: E402

project = "alum"
author = "The alum authors"
copyright = "2026, the alum authors, MIT licence"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "alum_site",
]
exclude_patterns = ["site"]

# What is missing or ambiguous is an error (`make docs` has -W): `alum_site` knows which names lie outside.
nitpicky = True
default_role = "py:obj"  # docstrings have names in single backticks

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # parts of the changelog begin below the first level

autodoc_typehints = "none"  # signatures have them already, in words that need no page of their own
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
toc_object_entries = False

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "alum"
html_static_path = ["site/static"]
html_css_files = ["alum.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f99", "color-brand-content": "#1f5f99"},
    "dark_css_variables": {"color-brand-primary": "#7db8ec", "color-brand-content": "#7db8ec"},
}
