"""What tests of the page share: how Chromium is started, and scripts that look for what a person could not read or reach."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT_MS = 30_000

FAULTS = """
() => {
  const faults = [];
  const told = (e) => (e.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
  const name = (e) => (e.getAttribute('aria-label') || told(e) || e.labels?.[0]?.textContent || e.textContent || e.title || '').trim();
  for (const e of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary'))
    if (!name(e)) faults.push('no name: ' + e.outerHTML.slice(0, 120));
  for (const e of document.querySelectorAll('[aria-labelledby]'))
    if (!document.getElementById(e.getAttribute('aria-labelledby'))) faults.push('label is missing: ' + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll('svg:not([aria-hidden]):not([role=img])'))
    if (!e.closest('[aria-hidden], li')) faults.push('loud picture: ' + e.outerHTML.slice(0, 80));
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push('id twice: ' + id);
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  if (document.querySelectorAll('main').length !== 1) faults.push('not one main');
  if (!document.documentElement.lang || !document.title) faults.push('no language or title');
  if (document.documentElement.scrollWidth > innerWidth) faults.push('wider than the screen');
  return faults;
}
"""

CONTRAST = """
() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
    .reduce((all, v, i) => all + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if ((c[3] ?? 1) > .99) return c; } return [255, 255, 255]; };
  const faults = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    if (style.color.startsWith('color(') || style.clipPath !== 'none') continue;
    const [a, b] = [lum(parse(style.color)), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) faults.push(ratio.toFixed(2) + ' ' + e.tagName + ' ' + e.textContent.trim().slice(0, 30));
  }
  return faults;
}
"""
