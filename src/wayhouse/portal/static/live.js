// Keeps the home page and an app's pages true without loading them again: asks for the numbers that move, puts them in
// place, and asks htmx for the parts whose stamp is another. Rests while nobody looks.

import { duration, percent, size } from "./formats.js";
import { Spark } from "./charts.js";

const EVERY_MS = 2500;
const BUSY_MS = 700;
const FAILED_MS = 6000;

const sparks = new Map();
for (const svg of document.querySelectorAll("[data-spark]")) sparks.set(svg.dataset.spark, new Spark(svg, 60));

let timer = 0;

async function look() {
  clearTimeout(timer);
  let pause = EVERY_MS;
  try {
    const reply = await fetch(address(), { headers: { accept: "application/json", "hx-request": "true" } });
    if (reply.status === 401 || reply.redirected) return location.reload();
    if (reply.status === 404) return location.assign("/");
    if (reply.ok) pause = show(await reply.json()) ? BUSY_MS : EVERY_MS;
  } catch {
    pause = FAILED_MS; // the gateway is away for a moment; go on asking
  }
  if (!document.hidden) timer = setTimeout(look, pause);
}

function address() {
  const head = document.getElementById("app-head");
  if (head) return `${head.dataset.path}/live`;
  const list = document.getElementById("list").dataset;
  return `/live?${new URLSearchParams({ q: list.query, state: list.phase, page: list.number })}`;
}

function show(now) {
  const list = document.getElementById("list");
  if (list && now.stamp && list.dataset.stamp !== now.stamp) refreshList(list);
  for (const app of now.apps) showApp(app);
  if (now.machine) showMachine(now.machine);
  return now.busy;
}

function refreshList(list) {
  const { query, phase, number } = list.dataset;
  const place = `/list?${new URLSearchParams({ q: query, state: phase, page: number })}`;
  htmx.ajax("GET", place, { target: list, swap: "outerHTML" });
}

function showApp(app) {
  const row = document.querySelector(`.app[data-name="${CSS.escape(app.name)}"]`);
  if (!row) return;
  const isPage = row.id === "app-head";
  if (row.dataset.stamp !== app.stamp && !row.querySelector(".htmx-request") && !row.classList.contains("htmx-request")) {
    htmx.ajax("GET", `${row.dataset.path}/${isPage ? "head" : "row"}`, { target: row, swap: "outerHTML" });
  }
  const place = isPage ? document.querySelector("[data-uses]") : row;
  if (!place) return;
  text(place.querySelector("[data-cpu]"), percent(app.cpu));
  text(place.querySelector("[data-memory]"), size(app.memory));
  if (isPage && app.cpu !== null) sparks.get("cpu")?.push(app.cpu, 5);
  if (isPage && app.memory !== null) sparks.get("memory")?.push(app.memory, 1);
}

function showMachine(machine) {
  const put = (name, value) => text(document.querySelector(`[data-m="${name}"]`), value);
  put("cpu", percent(machine.cpu));
  put("memory", size(machine.memory.used));
  put("disk", size(machine.disk.used));
  put("uptime", duration(machine.uptime));
  document.querySelector('[data-m="memory-bar"]')?.setAttribute("width", `${machine.memory.percent}%`);
  document.querySelector('[data-m="disk-bar"]')?.setAttribute("width", `${machine.disk.percent}%`);
  const fills = document.querySelectorAll('[data-m="cores"] .fill');
  machine.cores.forEach((core, at) => {
    fills[at]?.setAttribute("y", 20 - core / 5);
    fills[at]?.setAttribute("height", core / 5);
  });
}

function text(place, value) {
  if (place && place.textContent !== value) place.textContent = value;
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) look();
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.requestConfig.verb !== "post") return;
  clearTimeout(timer);
  timer = setTimeout(look, 250);
});
look();
