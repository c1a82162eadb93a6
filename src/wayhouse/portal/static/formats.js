// How numbers and times look; the same rules as formats.py.

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

export function size(count) {
  if (count === null || count === undefined) return "–";
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit >= 3 && value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

export function percent(value) {
  if (value === null || value === undefined) return "–";
  return `${value.toFixed(value >= 0.05 && value < 10 ? 1 : 0)} %`;
}

export function duration(seconds) {
  if (seconds > 0 && seconds < 1) return "under 1 s";
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [length, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const count = Math.floor(rest / length);
    rest %= length;
    if (count) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}
