"""Pieces of HTML pages that need nothing from outside: a document, sections, tables, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:15px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif;
color:#1f2933;background:#f5f7f9;margin:0}
main{max-width:1080px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:26px;margin:0 0 4px}
h2{font-size:19px;margin:34px 0 8px;border-bottom:2px solid #d9dfe5}
h3{font-size:15px;margin:18px 0 6px}p{margin:6px 0;max-width:86ch}.faint{color:#5f6c7b;font-size:13px}
section{background:#fff;border:1px solid #e3e8ed;border-radius:8px;padding:2px 20px 18px;margin:14px 0}
section h2{margin-top:14px}.cards{display:flex;flex-wrap:wrap;gap:12px;margin:16px 0}
.card{background:#fff;border:1px solid #e3e8ed;border-radius:8px;padding:10px 16px;min-width:150px;flex:1}
.card b{display:block;font-size:25px}.card span{color:#5f6c7b;font-size:13px}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:8px 0;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;text-align:right;border-bottom:1px solid #eef1f4;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:#5f6c7b;font-weight:600;font-size:13px}
td small{color:#5f6c7b}td svg{vertical-align:middle}td.text{white-space:normal;text-align:left}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:16px}
.charts figure{margin:0}.charts svg{width:100%;height:auto}figcaption{font-size:13px;color:#5f6c7b}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:12px}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(310px,1fr));gap:12px}
.pictures figure{margin:0}.pictures img{width:100%;border-radius:4px;display:block}
.warn{background:#fff4e0;border:1px solid #e0b060;border-radius:8px;padding:10px 16px;margin:14px 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:8px 0}
dt{color:#5f6c7b}dd{margin:0;overflow-wrap:anywhere}
@media print{body{background:#fff}section,.card{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Shown:
    """A picture of the page: JPEG bytes and what stands under it."""

    jpeg: bytes
    caption: str


def page(title: str, parts: Sequence[str]) -> str:
    """A whole HTML document around the parts."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A part of the page under a heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Mapping[str, Any]) -> str:
    """Names and values; None is left out."""
    shown = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in pairs.items()
        if value is not None
    )
    return f"<dl>{shown}</dl>"


def picture_grid(shown: Sequence[Shown]) -> str:
    """Pictures side by side, inside the page."""
    figures = [
        f'<figure><img alt="{escape(item.caption)}" loading="lazy" '
        f'src="data:image/jpeg;base64,{base64.b64encode(item.jpeg).decode()}">'
        f"<figcaption>{escape(item.caption)}</figcaption></figure>"
        for item in shown
    ]
    return f'<div class="pictures">{"".join(figures)}</div>'


def three(value: float | None, decimals: int = 3) -> str:
    """A score with its decimals, or a dash."""
    return "–" if value is None else f"{value:.{decimals}f}"


def with_interval(value: float | None, interval: Mapping[str, Any] | None) -> str:
    """A score and its interval as table cell."""
    if interval is None:
        return three(value)
    return f"{three(value)} <small>{three(interval['low'])} – {three(interval['high'])}</small>"


def faint(text: str) -> str:
    """A remark in small print."""
    return f'<p class="faint">{escape(text)}</p>'


def percent(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.2f} %"
