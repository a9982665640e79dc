"""The claims ledger in the book: ``{claims-table}``, ``{claims-of} page`` and the role ``{claim}``.

An unknown claim or page is a Sphinx warning, and the strict build turns it into a failure.
"""

import re
from collections import Counter
from pathlib import Path

import ledger
from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

log = logging.getLogger(__name__)
CLAIMS_DOC = "book/claims"


def _anchor(claim_id):
    return f"claim-{claim_id}"


def _read(env):
    """The ledger and the recorded results; the page is rebuilt when either file changes."""
    root = Path(env.srcdir)
    for name in (ledger.LEDGER, ledger.RESULTS):
        env.note_dependency(str(root / name))
    try:
        return ledger.read_ledger(root / ledger.LEDGER), ledger.read_results(root / ledger.RESULTS)
    except ledger.LedgerError as error:
        raise ExtensionError(str(error)) from None


def _link(claim_id):
    """A reference to the claim's place on the claims page, resolved when all pages are read."""
    label = nodes.inline(claim_id, claim_id, classes=["claim-id"])
    return addnodes.pending_xref(
        "", label, refdomain="std", reftype="ref", reftarget=_anchor(claim_id).lower(), refexplicit=True, refwarn=True
    )


def _badge(text):
    return nodes.inline(text, text, classes=["claim-badge", f"badge-{text.lower()}"])


def _line(*parts, classes=()):
    """One paragraph; plain strings become text, with a space between the parts."""
    paragraph = nodes.paragraph(classes=list(classes))
    for part in parts:
        paragraph += [nodes.Text(part) if isinstance(part, str) else part, nodes.Text(" ")]
    return paragraph


class _ClaimDirective(SphinxDirective):
    def markdown(self, text, lead=""):
        """Parse Markdown of the ledger; `lead` opens its first paragraph."""
        holder = nodes.Element()
        self.state.nested_parse(
            StringList((lead + text).splitlines(), source=ledger.LEDGER), self.content_offset, holder
        )
        return holder.children

    def test_links(self, tests):
        """One link a test, to its line in the repository."""
        options = self.config.html_theme_options
        base = f"{options['repository_url']}/blob/{options['repository_branch']}"
        for test in tests:
            file, name = test.split("::", 1)
            path = Path(self.env.srcdir) / file
            source = path.read_text(encoding="utf-8") if path.exists() else ""
            found = re.search(rf"^\s*def {re.escape(name.split('::')[-1])}\b", source, re.M)
            line = source.count("\n", 0, found.end()) + 1 if found else 1
            yield nodes.reference("", "", nodes.literal(name, name), refuri=f"{base}/{file}#L{line}", internal=False)


class ClaimsTable(_ClaimDirective):
    """Every claim of the book: what is said, who said it, its tests and their outcome."""

    def run(self):
        claims, results = _read(self.env)
        counts = Counter(claim.status for claim in claims.claims)
        summary = nodes.container(classes=["claim-counts"])
        summary += _line(f"{len(claims.claims)} claims:")
        for status, meaning in ledger.STATUSES.items():
            if counts[status]:
                summary += _line(_badge(status), f"{counts[status]} - {meaning}.")
        cards = nodes.container(classes=["claim-list"])
        cards += [self.card(claim, claims, results) for claim in claims.claims]
        return [summary, cards]

    def card(self, claim, claims, results):
        tests, outcome = ledger.tests_of(results, claim.id)
        cited = claim.status == "CITED"
        card = nodes.container(classes=["claim-card", f"status-{claim.status.lower()}", f"page-{claim.page}"])
        card["ids"] = [_anchor(claim.id)]
        self.env.get_domain("std").note_hyperlink_target(
            _anchor(claim.id).lower(), self.env.docname, _anchor(claim.id), f"claim {claim.id}"
        )
        shown = addnodes.pending_xref(
            "", nodes.inline("", "its page"), refdomain="std", reftype="doc", reftarget=f"/book/{claim.page}",
            refexplicit=False, refwarn=True, refdoc=self.env.docname,
        )  # fmt: skip
        outcome_badge = [] if cited else [_badge(outcome)]
        name = nodes.inline(claim.id, claim.id, classes=["claim-id"])
        card += _line(name, _badge(claim.status), *outcome_badge, "shown in", shown, classes=["claim-head"])
        card += self.markdown(claim.statement)
        if claim.formula:
            card += nodes.math_block(claim.formula, claim.formula, nowrap=False, number=None, label=None)
        if claim.slip:
            card += self.markdown(claim.slip, lead="*Where the source slips:* ")
        if claim.note:
            card += self.markdown(claim.note, lead="*Note:* ")
        sources = "; ".join(str(claims.sources.get(key, key)) for key in claim.source)
        card += _line(f"Source: {sources or 'this course'}.", classes=["claim-source"])
        if tests:
            card += _line(
                "Proved by" if outcome == "passed" else "Tested by", *self.test_links(tests), classes=["claim-source"]
            )
        return card


class ClaimsOf(_ClaimDirective):
    """The claims that one page proves, folded."""

    required_arguments = 1

    def run(self):
        page = self.arguments[0]
        claims, results = _read(self.env)
        mine = [claim for claim in claims.claims if claim.page == page]
        if not mine:
            log.warning("claims-of: no claim of %s has page %r", ledger.LEDGER, page, location=self.get_location())
            return []
        passed = sum(ledger.tests_of(results, claim.id)[1] == "passed" for claim in mine)
        cited = sum(claim.status == "CITED" for claim in mine)
        title = f"{len(mine)} claim{'s' * (len(mine) > 1)}: {passed} held by tests that pass" + (
            f", {cited} cited" if cited else ""
        )
        box = nodes.admonition(classes=["dropdown", "claims-of"])
        box += nodes.title(title, title)
        box += nodes.bullet_list("", *[self.item(claim) for claim in mine])
        return [box]

    def item(self, claim):
        item = nodes.list_item("", _line(_link(claim.id), _badge(claim.status)))
        item += self.markdown(claim.statement)
        return item


class ClaimRole(SphinxRole):
    """``{claim}`F-20```: a link to that claim."""

    def run(self):
        if self.text not in _read(self.env)[0].by_id:
            log.warning("claim: %s is not in %s", self.text, ledger.LEDGER, location=self.get_location())
            return [nodes.Text(self.text)], []
        return [_link(self.text)], []


def add_filters(app, pagename, templatename, context, doctree):
    if pagename == CLAIMS_DOC:
        app.add_js_file("ledger.js")


def setup(app):
    app.connect("html-page-context", add_filters)
    app.add_directive("claims-table", ClaimsTable)
    app.add_directive("claims-of", ClaimsOf)
    app.add_role("claim", ClaimRole())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
