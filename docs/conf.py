"""The settings of the site: the Markdown files as they are, and a reference from docstrings.

The source folder is the root of the repository, so that links mean on the site what they mean in
it. A link or an anchor that leads nowhere is a warning, and warnings are errors.
"""

from sphinx.application import Sphinx

from rlvr_world import __version__

project = "RLVR-World on Lightning"
release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/README"
include_patterns = ["*.md", "docs/**", "data/README.md", "checkpoints/README.md"]
exclude_patterns = ["docs/_build", "docs/notebooks/tiny"]
templates_path = ["templates"]
html_theme = "furo"
html_title = project
html_additional_pages = {"index": "to_manual.html"}

myst_heading_anchors = 4
nb_execution_mode = "off"

autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

CONTENTS = {
    "First steps": "../README getting_started configuration stages rlvr",
    "Modalities": "video multi_step_video text_games web_pages",
    "Your own": "own_robot data own_reward own_modality",
    "Use": "planning notebooks/predict notebooks/reward notebooks/policy published_checkpoints",
    "Run": "speed speed_gpu scale trust security",
    "Results": "../RESULTS results/pusht results/metaworld results/textworld results/bytesized32 "
    "results/web results/speed results/not_measured",
    "More": "api ../CONTRIBUTING ../CHANGELOG ../data/README ../checkpoints/README",
}
"""The pages of the sidebar, by caption."""


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the sidebar's contents to the first page, where GitHub would show them as code."""
    if page == root_doc:
        for caption, pages in CONTENTS.items():
            listed = "\n".join(pages.split())
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def setup(app: Sphinx) -> None:
    """Let Sphinx know of it."""
    app.connect("source-read", add_contents)
