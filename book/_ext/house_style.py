"""What every page of the site shares: math without a CDN, and a promise that nothing foreign is loaded."""

import importlib.util
import shutil
from pathlib import Path

# What a page can load: the bundle, its fonts, and the TeX extensions that the bundle fetches when a macro needs one.
MATHJAX = ("tex-chtml.js", "output/chtml", "input/tex/extensions")

# The theme uses inline scripts and styles; `file:` is what 'self' means for a book opened from a folder.
POLICY = "default-src 'self' file: data: blob: 'unsafe-inline'; object-src 'none'; base-uri 'self' file:"


def add_policy(app, pagename, templatename, context, doctree):
    context["metatags"] = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n' + context.get("metatags", "")


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
    app.connect("html-page-context", add_policy)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
