"""The icons of the page, drawn on a grid of 20 with one stroke width, as inline SVG."""

from __future__ import annotations

_OPEN = (
    '<svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" '
    'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">'
)

_PATHS = {
    "start": '<path d="M6.5 4.2v11.6l9-5.8z"/>',
    "stop": '<rect x="5.5" y="5.5" width="9" height="9" rx="1.5"/>',
    "restart": '<path d="M15.8 8.2A6.2 6.2 0 1 0 16 11.6"/><path d="M16.2 4.4v4h-4"/>',
    "remove": '<path d="M4 6h12M8 6V4.2h4V6M5.6 6l.7 9.8h7.4l.7-9.8M8.5 9v4M11.5 9v4"/>',
    "open": '<path d="M11.5 4H16v4.5M16 4l-6.8 6.8M14 11.5v3a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 4 14.5v-7A1.5 1.5 0 0 1 5.5 6h3"/>',
    "plus": '<path d="M10 4.5v11M4.5 10h11"/>',
    "search": '<circle cx="9" cy="9" r="4.8"/><path d="m12.7 12.7 3.6 3.6"/>',
    "upload": '<path d="M10 13V4.2M6.4 7.6 10 4l3.6 3.6M4 13v1.8A1.7 1.7 0 0 0 5.7 16.5h8.6a1.7 1.7 0 0 0 1.7-1.7V13"/>',
    "download": '<path d="M10 4v8.8M6.4 9.4 10 13l3.6-3.6M4 14v.8a1.7 1.7 0 0 0 1.7 1.7h8.6a1.7 1.7 0 0 0 1.7-1.7V14"/>',
    "check": '<path d="m4.8 10.4 3.4 3.4 7-7.4"/>',
    "cross": '<path d="m5.5 5.5 9 9M14.5 5.5l-9 9"/>',
    "clock": '<circle cx="10" cy="10" r="6.2"/><path d="M10 6.6V10l2.4 1.6"/>',
    "theme": '<circle cx="10" cy="10" r="6.2"/><path d="M10 3.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor"/>',
    "user": '<circle cx="10" cy="7.4" r="2.9"/><path d="M4.4 16.2c.6-2.8 2.8-4.2 5.6-4.2s5 1.4 5.6 4.2"/>',
    "leave": '<path d="M12 4H6.2A1.2 1.2 0 0 0 5 5.2v9.6A1.2 1.2 0 0 0 6.2 16H12M9 10h7.5M13.8 7.2l2.8 2.8-2.8 2.8"/>',
    "copy": '<rect x="7.5" y="7.5" width="8.5" height="8.5" rx="1.5"/><path d="M12.5 7.5V5.3A1.3 1.3 0 0 0 11.2 4H5.3A1.3 1.3 0 0 0 4 5.3v5.9a1.3 1.3 0 0 0 1.3 1.3h2.2"/>',
    "pause": '<path d="M7.5 5.5v9M12.5 5.5v9"/>',
    "warning": '<path d="M10 4 3.4 15.6h13.2zM10 8.6v3.2M10 13.7v.1"/>',
    "box": '<path d="m10 3.6 6 3.2v6.4l-6 3.2-6-3.2V6.8zM4.2 7 10 10l5.8-3M10 10v6.2"/>',
    "folder": '<path d="M3.8 6.2A1.4 1.4 0 0 1 5.2 4.8h3l1.6 1.8h5a1.4 1.4 0 0 1 1.4 1.4v6a1.4 1.4 0 0 1-1.4 1.4H5.2a1.4 1.4 0 0 1-1.4-1.4z"/>',
    "device": '<rect x="6" y="6" width="8" height="8" rx="1.5"/><path d="M8.2 6V3.6M11.8 6V3.6M8.2 16.4V14M11.8 16.4V14M6 8.2H3.6M6 11.8H3.6M16.4 8.2H14M16.4 11.8H14"/>',
    "scenario": '<rect x="3.6" y="4.4" width="5" height="4.2" rx="1.2"/><rect x="11.4" y="11.4" width="5" height="4.2" rx="1.2"/><path d="M8.6 6.5h3.6a1.7 1.7 0 0 1 1.7 1.7v3.2"/>',
    "overlay": '<circle cx="10" cy="10" r="2.4"/><circle cx="4.6" cy="5" r="1.5"/><circle cx="15.4" cy="5" r="1.5"/><circle cx="10" cy="16.4" r="1.5"/><path d="M8.2 8.4 5.8 6.2M11.8 8.4l2.4-2.2M10 12.4v2.4"/>',
    "right": '<path d="m8 5.5 4.5 4.5L8 14.5"/>',
}

ICONS = {name: f"{_OPEN}{path}</svg>" for name, path in _PATHS.items()}

ICONS["logo"] = (
    '<svg class="logo" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true" focusable="false">'
    '<path class="logo-house" d="M14 2.6 3 11.2V23a2.4 2.4 0 0 0 2.4 2.4h17.2A2.4 2.4 0 0 0 25 23V11.2z"/>'
    '<path class="logo-way" d="M11.4 25.4c0-5.4.6-6.8 2.6-8.6s2.6-3 2.6-5.2"/>'
    '<circle class="logo-light" cx="14" cy="10" r="1.9"/></svg>'
)
