"""Configure Sphinx, which builds the site: ``make docs``."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any, Final

from responses_proto import __version__

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS))

# Sphinx is installed only in the environment of the site, so type checkers must not follow these imports.
addnodes: Any = importlib.import_module("sphinx.addnodes")
nodes: Any = importlib.import_module("docutils.nodes")
sphinx_nodes: Any = importlib.import_module("sphinx.util.nodes")
tables: Any = importlib.import_module("tables")

project = "responses_proto"
author = "The responses_proto developers"
project_copyright = author
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton", "myst_parser"]
default_role = "code"
nitpicky = False  # annotations name types of other packages, which have no link targets
suppress_warnings = [
    "ref.python",  # an annotation such as `bytes` is also the name of a field
]
exclude_patterns = ["README.md"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"responses_proto {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = True
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True


def setup(app: Any) -> None:
    """Put the tables in place before a page is parsed, and write ``llms.txt`` at the end."""
    lexers: Any = importlib.import_module("pygments.lexers.special")
    app.add_lexer("mermaid", lexers.TextLexer)  # diagrams are shown as text: drawing them needs an external script
    app.connect("env-get-outdated", _with_tables)
    app.connect("source-read", _expand)
    app.connect("doctree-resolved", _link_classes)
    app.connect("build-finished", _write_llms)


def _with_tables(app: Any, env: Any, *_changes: object) -> list[str]:
    """Return the pages with tables, to build them again: the code behind the tables may have changed even if the pages did not."""
    return [page for page in env.found_docs if "<!-- table: " in (app.srcdir / f"{page}.md").read_text("utf-8")]


def _expand(_app: Any, _page: str, source: list[str]) -> None:
    source[0] = tables.expand(source[0])


def _link_classes(app: Any, doctree: Any, page: str) -> None:
    """Link the classes that a text names, such as `Timeouts` or `Timeouts(total=60)`, to their descriptions."""
    classes = {
        name.rpartition(".")[2]: entry
        for name, entry in app.env.domains["py"].objects.items()
        if entry.objtype in ("class", "exception")
    }
    for literal in list(doctree.findall(nodes.literal)):
        entry = classes.get(literal.astext().partition("(")[0])
        if entry is None or isinstance(literal.parent, nodes.reference | nodes.title | addnodes.desc_signature):
            continue
        link = sphinx_nodes.make_refnode(app.builder, page, entry.docname, entry.node_id, literal.deepcopy())
        literal.replace_self(link)


def _write_llms(app: Any, error: Exception | None) -> None:
    """Write ``llms.txt``, a list of all pages for language models, and ``llms-full.txt``, which has their text."""
    if error is not None or app.builder.name != "html":
        return
    lines = ["# responses_proto", "", f"> {_first_paragraph(app, 'index')}", ""]
    full: list[str] = []
    for section in app.env.get_doctree("index").findall(nodes.compound):
        for toctree in section.findall(addnodes.toctree):
            lines += [f"## {toctree['caption'] or 'Start'}", ""]
            for _, page in toctree["entries"]:
                for one in (page, *_below(app, page)):
                    title = app.env.titles[one].astext()
                    lines.append(f"- [{title}]({one}.html): {_first_paragraph(app, one)}")
                    if not one.startswith("reference/api/"):
                        full.append(tables.expand((app.srcdir / f"{one}.md").read_text("utf-8")))
            lines.append("")
    out = Path(app.outdir)
    (out / "llms.txt").write_text("\n".join(lines), "utf-8")
    (out / "llms-full.txt").write_text("\n\n".join(full), "utf-8")


def _below(app: Any, page: str) -> list[str]:
    return [one for below in app.env.toctree_includes.get(page, ()) for one in (below, *_below(app, below))]


def _first_paragraph(app: Any, page: str) -> str:
    paragraph = next(iter(app.env.get_doctree(page).findall(nodes.paragraph)), None)
    return re.sub(r"\s+", " ", paragraph.astext()) if paragraph is not None else ""
