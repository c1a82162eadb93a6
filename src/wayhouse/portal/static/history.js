// The charts of a device's history: the mean as a line, from the lowest to the highest value as a band behind it.

import { clock } from "./formats.js";

const HEIGHT = 190;
const EVERY_MS = 60_000;
const place = document.querySelector("[data-history]");
const buttons = [...place.querySelectorAll("[data-range]")];
const figures = [...place.querySelectorAll("[data-command]")];
const charts = new Map();
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let range = buttons.some((one) => one.dataset.range === location.hash.slice(1)) ? location.hash.slice(1) : "day";

function short(value, unit) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  return unit ? `${text} ${unit}` : text;
}

const onOff = (value) => (value === null || value === undefined ? "–" : value > 0.99 ? "on" : value < 0.01 ? "off" : `on ${(value * 100).toFixed(0)} %`);

function words(figure, unit) {
  return "isSwitch" in figure.dataset ? onOff : (value) => short(value, unit);
}

function options(figure, found, say) {
  const isSwitch = "isSwitch" in figure.dataset;
  const axis = { stroke: () => css("--muted"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { stroke: () => css("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  const paths = isSwitch ? uPlot.paths.stepped({ align: 1 }) : undefined;
  const few = found.time.length < 90;
  return {
    width: figure.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: { y: false, drag: { setScale: false, x: false, y: false } },
    scales: { x: { min: found.start, max: found.end }, y: { range: isSwitch ? [-0.05, 1.05] : (chart, low, high) => reach(low, high) } },
    axes: [
      { ...axis, space: 64, values: (chart, ticks, axisAt, space, step) => ticks.map((tick) => moment(tick, step)) },
      { ...axis, size: 46, values: (chart, ticks) => ticks.map((tick) => (isSwitch ? { 0: "off", 1: "on" }[tick] ?? "" : short(tick, ""))), splits: isSwitch ? () => [0, 1] : undefined },
    ],
    series: [
      {},
      { ...edge, paths },
      { ...edge, paths },
      { stroke: () => css("--accent"), width: 1.75, paths, points: { show: few && !isSwitch, size: 4, fill: () => css("--accent") } },
    ],
    bands: isSwitch ? [] : [{ series: [2, 1], fill: () => css("--accent-soft") }],
    hooks: { setCursor: [(chart) => say(chart.cursor.idx)] },
  };
}

/** Of a tick: the time of day, or the date where a day begins or a step is a day and more. */
function moment(seconds, step) {
  const time = new Date(seconds * 1000);
  if (step < 86400 && (time.getHours() || time.getMinutes())) return clock(seconds).slice(0, 5);
  return time.toLocaleDateString([], step >= 28 * 86400 ? { month: "short", year: "numeric" } : { day: "numeric", month: "short" });
}

function reach(low, high) {
  if (low === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}

function draw(figure, found) {
  const plot = figure.querySelector("[data-plot]");
  const summary = figure.querySelector("[data-summary]");
  const say = words(figure, found.unit);
  const whole =
    found.lowest === null
      ? "Nothing in this time."
      : "isSwitch" in figure.dataset
        ? `on for ${(found.average * 100).toFixed(0)} % of the time`
        : `${say(found.lowest)} to ${say(found.highest)}, ${say(found.average)} on average`;
  const tell = (at) => {
    const moment = at === null || at === undefined ? null : found.time[at];
    const isOn = moment !== null && moment !== undefined && found.mean[at] !== null;
    summary.textContent = isOn ? `${say(found.mean[at])} · ${new Date(moment * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}` : whole;
  };
  charts.get(figure)?.destroy();
  charts.delete(figure);
  figure.classList.toggle("bare", found.lowest === null);
  if (found.lowest !== null) charts.set(figure, new uPlot(options(figure, found, tell), [found.time, found.low, found.high, found.mean], plot));
  summary.textContent = whole;
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `Chart: ${whole}`);
}

async function load(figure) {
  const query = new URLSearchParams({ command: figure.dataset.command, range });
  figure.querySelector("[data-file]").href = `${place.dataset.history}.csv?${query}`;
  const asked = range;
  try {
    const reply = await fetch(`${place.dataset.history}?${query}`, { headers: { accept: "application/json", "hx-request": "true" } });
    if (!reply.ok) throw new Error(String(reply.status));
    const found = await reply.json();
    if (asked === range && !figure.matches(":hover")) draw(figure, found);
    else if (asked === range && !charts.has(figure)) draw(figure, found);
  } catch {
    if (!charts.has(figure)) figure.querySelector("[data-summary]").textContent = "The history cannot be shown just now.";
  }
}

function choose(name) {
  range = name;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.range === name));
  for (const figure of figures) {
    charts.get(figure)?.destroy();
    charts.delete(figure);
    load(figure);
  }
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    history.replaceState(null, "", `#${button.dataset.range}`);
    choose(button.dataset.range);
  });
}
if (buttons.length) {
  choose(range);
  setInterval(() => {
    if (!document.hidden) figures.forEach(load);
  }, EVERY_MS);
  new ResizeObserver(() => {
    for (const [figure, chart] of charts) chart.setSize({ width: figure.clientWidth, height: HEIGHT });
  }).observe(place);
  const recolour = () => charts.forEach((chart) => chart.redraw(false));
  new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}
