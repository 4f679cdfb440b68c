"""The documents as a site: `python -m sphinx -W docs build/site`, in an environment with the extra `docs`."""

import argparse
import os
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

import arraycodec
from arraycodec.__main__ import _parser

os.environ["COLUMNS"] = "100"  # of the help texts
HERE = Path(__file__).parent

project = "arraycodec"
author = "The arraycodec developers"
copyright = author
version = release = arraycodec.__version__

# the one listing that is no language
lexers["hex"] = TextLexer()

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["benchmarks/*"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types
autodoc_inherit_docstrings = True
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"arraycodec {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def command_line() -> str:
    """The help of every command, as a page."""
    parser = _parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    page = ["# Commands", "What `arraycodec COMMAND --help` prints; [usage](../usage.md#command-line) explains it."]
    for name, command in commands.choices.items():
        page += [f"## {name}", f"```text\n{command.format_help().rstrip()}\n```"]
    return "\n\n".join(page) + "\n"


def setup(app):
    """Make the page of the command line from the parser itself."""
    (HERE / "reference" / "commands.md").write_text(command_line())
