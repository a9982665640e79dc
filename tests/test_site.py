"""The built site loads nothing foreign, has no dead link of its own, and says its language and titles."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
PAGES = sorted(SITE.glob("book/*.html"))
LARGEST_PAGE = 1_500_000
LOADS = {(tag, "src") for tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "input")}
LOADS |= {("img", "srcset"), ("source", "srcset"), ("object", "data")}
LOADING_LINKS = {
    "stylesheet",
    "preload",
    "prefetch",
    "modulepreload",
    "icon",
    "shortcut",
    "manifest",
    "preconnect",
    "dns-prefetch",
}
FOREIGN = re.compile(r"\s*(https?:)?//", re.I)
FOREIGN_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?\s*(?:https?:)?//""", re.I)
FOREIGN_JS = re.compile(
    r"""(?:fetch|import|importScripts|Worker|EventSource|WebSocket)\s*\(\s*["'`](?:https?:|wss?:)?//"""
)

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: `make book` first")
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


class Page(HTMLParser):
    """What a test asks of an HTML page: addresses it loads, links, ids, title, inline scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.ids, self.lang, self.title = [], [], set(), None, ""
        self.inside, self.inline = None, {"script": "", "style": ""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = {key: value or "" for key, value in attrs}
        self.inside = tag if tag in ("script", "style", "title") else self.inside
        self.ids |= {attrs[key] for key in ("id", "name") if key in attrs}
        self.inline["style"] += attrs.get("style", "")
        self.loads += [value for key, value in attrs.items() if (tag, key) in LOADS]
        if tag == "link" and LOADING_LINKS & set(attrs.get("rel", "").split()):
            self.loads.append(attrs.get("href", ""))
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        if tag == "html":
            self.lang = attrs.get("lang")

    def handle_endtag(self, tag):
        self.inside = None if tag == self.inside else self.inside

    def handle_data(self, data):
        if self.inside in self.inline:
            self.inline[self.inside] += data
        elif self.inside == "title":
            self.title += data


parse = cache(Page)


@page
def test_a_page_loads_nothing_foreign(path):
    seen = parse(path)
    assert [address for address in seen.loads if FOREIGN.match(address)] == []
    assert not FOREIGN_CSS.search(seen.inline["style"])
    assert not FOREIGN_JS.search(seen.inline["script"])


def test_styles_and_scripts_load_nothing_foreign():
    for pattern, suffix in ((FOREIGN_CSS, "css"), (FOREIGN_JS, "js")):
        bad = [
            p.name for p in SITE.rglob(f"*.{suffix}") if pattern.search(p.read_text(encoding="utf-8", errors="replace"))
        ]
        assert bad == []


@page
def test_what_a_page_loads_is_there(path):
    for address in parse(path).loads:
        if not address.startswith("data:"):
            assert (path.parent / unquote(urlsplit(address).path)).is_file(), f"{address} is missing"


@page
def test_links_inside_the_book_lead_somewhere(path):
    for link in parse(path).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        assert target.is_file(), f"{link} leads nowhere"
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in parse(target).ids, f"{link}: no such place on that page"


@page
def test_math_comes_from_the_site_itself(path):
    scripts = [address for address in parse(path).loads if "mathjax" in address]
    assert scripts or 'class="math' not in path.read_text(encoding="utf-8")
    assert all(address.startswith("../_static/mathjax/") for address in scripts)


@page
def test_a_page_says_its_language_and_title_and_shuts_out_foreign_hosts(path):
    seen = parse(path)
    assert seen.lang == "en"
    assert len(seen.title.strip()) > len("- ganlab")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', path.read_text(encoding="utf-8"))
    assert policy, "no Content-Security-Policy"
    assert "http" not in policy[1]


@page
def test_a_built_page_is_not_too_heavy(path):
    assert path.stat().st_size <= LARGEST_PAGE


def test_only_the_mathjax_that_pages_use_is_shipped():
    size = sum(p.stat().st_size for p in (SITE / "_static/mathjax").rglob("*") if p.is_file())
    assert size < 3_000_000


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        '<img srcset="https://cdn.example/x.png 2x">',
        '<p style="background: url(http://cdn.example/x.png)">',
        '<style>@import "https://cdn.example/x.css";</style>',
        '<script>fetch("https://cdn.example/data")</script>',
    ],
)
def test_the_foreign_address_check_finds_one(tmp_path, html):
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    with pytest.raises(AssertionError):
        test_a_page_loads_nothing_foreign(path)
