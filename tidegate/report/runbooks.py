"""Runbooks as pages: the same markdown that is in the repository."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from markdown_it import MarkdownIt

from tidegate.report.skeleton import template_text

_LINK = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)


def render_runbooks(texts: Mapping[str, str]) -> dict[str, str]:
    """A page for each markdown text, by name.

    Links between them work; those to other files of the repository are text, as they are not beside the page. HTML in
    the texts is shown, not run.

    Examples
    --------
    >>> pages = render_runbooks({"a": "# A\\n[b](b.md), [c](../c.md) <script>", "b": "# B"})
    >>> '<a href="b.html">b</a>, c &lt;script&gt;' in pages["a"]
    True
    """
    return {name: _page(name, text, texts) for name, text in texts.items()}


def _page(name: str, text: str, others: Mapping[str, str]) -> str:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)

    def link(found: re.Match[str]) -> str:
        target, _, anchor = found[1].partition("#")
        if target.startswith(("http://", "https://")):
            return found[0]
        stem = target.removesuffix(".md")
        if target.endswith(".md") and stem in others:
            return f'<a href="{stem}.html{"#" + anchor if anchor else ""}">{found[2]}</a>'
        return found[2]

    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), name)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title>"
        f"<style>{template_text('page.css')}{template_text('runbook.css')}</style></head>"
        '<body><nav aria-label="Pages"><a href="../engineering.html">Engineering</a> '
        '<a href="../business.html">Business</a> '
        f'<a href="README.html">Runbooks</a></nav><main>{_LINK.sub(link, made)}</main></body></html>\n'
    )


__all__ = ["render_runbooks"]
