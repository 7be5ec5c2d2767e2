"""Parts of a report, and the page around them: HTML that needs no script, font or picture from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

from stream_scorer.safe_text import one_line

_STYLE = """
:root { --ink: #1f2d3d; --accent: #c8553d; --quiet: #588b8b; --rule: #d5dce2; --paper: #fdfdfb; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe6ec; --accent: #e08a70; --quiet: #7fb3b3; --rule: #3a4651; --paper: #161c22; }
}
body { margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .4rem; }
p { margin: .3rem 0 .8rem; max-width: 48rem; }
.verdict { font-size: 1.15rem; border-left: 4px solid var(--accent); padding-left: .8rem; margin: 1rem 0 1.2rem; }
.note { color: var(--quiet); font-size: .9rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0; overflow-x: auto; }
svg { width: 100%; min-width: 40rem; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 12px; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--ink); }
path.line { fill: none; stroke-width: 1.3; }
path.ink { stroke: var(--ink); }
path.accent { stroke: var(--accent); }
path.quiet { stroke: var(--quiet); }
rect.quiet { fill: var(--quiet); }
rect.accent { fill: var(--accent); }
.band { fill: var(--quiet); opacity: .22; }
.legend { font-size: .9rem; margin: .2rem 0; }
.key { margin-right: 1.4rem; white-space: nowrap; }
.key.band { opacity: 1; }
.key::before { content: ""; display: inline-block; width: 1.4em; height: .25em; margin-right: .45em;
  vertical-align: middle; background: var(--ink); }
.key.accent::before { background: var(--accent); }
.key.quiet::before { background: var(--quiet); }
.key.band::before { background: var(--quiet); opacity: .35; height: .8em; }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """The whole page. `parts`: HTML, as the functions below make it; they escape the texts they are given."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{_escaped(title)}</title><style>{_STYLE}</style></head>\n<body>\n<h1>{_escaped(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    return f"<h2>{_escaped(text)}</h2>"


def paragraph(text: str, role: str = "") -> str:
    return f"<p{f' class={chr(34)}{role}{chr(34)}' if role else ''}>{_escaped(text)}</p>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{_escaped(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(picture: str) -> str:
    return f"<figure>{picture}</figure>"


def _escaped(text: str) -> str:
    """No markup, and no character that hides or turns around what follows."""
    return html.escape(one_line(text))
