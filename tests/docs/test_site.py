"""The site builds without a warning, and a link or an anchor that leads nowhere is one."""

import pytest
from stages import ROOT

pytest.importorskip("myst_nb", reason="the extra docs is not installed")
from sphinx.application import Sphinx
from sphinx.errors import SphinxWarning
from sphinx.util.docutils import docutils_namespace, patch_docutils

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("DeprecationWarning", "PendingDeprecationWarning")
]

ALONE = {"root_doc": "page", "html_additional_pages": {}, "include_patterns": ["**"]}


def build(source, made, **settings):
    """Resolve all pages of a folder, and write none."""
    with patch_docutils(str(ROOT / "docs")), docutils_namespace():
        site = Sphinx(
            source, ROOT / "docs", made, made, "dummy", settings, None, exception_on_warning=True
        )
        site.build()
    return site


def test_the_site_builds(tmp_path):
    pages = build(ROOT, tmp_path).env.found_docs
    assert {"README", "RESULTS", "docs/api", "docs/notebooks/policy", "docs/results/web"} <= pages


@pytest.mark.parametrize("link", ["#nowhere", "other.md#nowhere", "nowhere.md", "nowhere.py"])
def test_links_that_lead_nowhere_are_errors(link, tmp_path):
    (tmp_path / "page.md").write_text(f"# Page\n\n[link]({link})\n\n```{{toctree}}\nother\n```\n")
    (tmp_path / "other.md").write_text("# Other\n\n[fine](page.md#page)\n")
    with pytest.raises(SphinxWarning, match="nowhere"):
        build(tmp_path, tmp_path / "made", **ALONE)


def test_links_that_lead_somewhere_are_none(tmp_path):
    (tmp_path / "page.md").write_text("# Page\n\n## Part\n\n[link](#part) [page](page.md)\n")
    build(tmp_path, tmp_path / "made", **ALONE)
