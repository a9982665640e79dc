"""What every page of the site shares: proofs that fold, math without a CDN, and a promise to load nothing foreign."""

import importlib.util
import shutil
from pathlib import Path

from docutils import nodes
from sphinx_proof.nodes import proof_node

# What a page can load: the bundle, its fonts, and the TeX extensions that the bundle fetches when a macro needs one.
MATHJAX = ("tex-chtml.js", "output/chtml", "input/tex/extensions")

# The theme uses inline scripts and styles; `file:` is what 'self' means for a book opened from a folder.
POLICY = "default-src 'self' file: data: blob: 'unsafe-inline'; object-src 'none'; base-uri 'self' file:"


def title_proofs(app, doctree):
    """Give each proof a title and its own id.

    sphinx-proof 0.4 writes "Proof." into the text and gives all proofs of a page one id, but the fold button hangs on a
    title and finds its box by the id: the first proof would break every fold of the page.
    """
    for n, proof in enumerate(doctree.findall(proof_node), 1):
        box = proof[0]
        box["ids"] = [f"proof-{n}"]
        box["classes"].append("proof-text")
        word = next(box.findall(nodes.Text))
        word.parent.replace(word, nodes.Text(word.removeprefix("Proof. ")))
        box.insert(0, nodes.title("", "Proof"))


def add_policy(app, pagename, templatename, context, doctree):
    context["metatags"] = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n' + context.get(
        "metatags", ""
    )


def copy_mathjax(app, error):
    """Copy the 1.6 MB that pages use out of the 24 MB of the PyPI package."""
    if error or app.builder.format != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    source = Path(package.submodule_search_locations[0]) / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for name in MATHJAX:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / name, target / name)


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("doctree-read", title_proofs)
    app.connect("html-page-context", add_policy)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
