// The machine's charts, fed by the status stream.

import { Spark } from "./charts.js";
import { percent, size } from "./formats.js";
import { follow } from "./stream.js";

const VALUES = 120;
const INSIDE = new RegExp(document.querySelector("[data-inside]").dataset.inside);

const charts = {};
for (const svg of document.querySelectorAll("[data-chart]")) charts[svg.dataset.chart] = new Spark(svg, VALUES);
const now = (name, text) => (document.querySelector(`[data-now="${name}"]`).textContent = text);
let before = null;

function show(status) {
  const cores = status.cpu_load;
  const cpu = cores.reduce((all, one) => all + one, 0) / Math.max(1, cores.length);
  const used = status.mem.total - status.mem.available;
  charts.cpu.push(cpu, 100);
  charts.memory.push(used, status.mem.total);
  now("cpu", percent(cpu));
  now("memory", size(used));
  const fills = document.querySelectorAll("[data-cores] li");
  cores.forEach((core, at) => {
    fills[at]?.querySelector(".fill").setAttribute("width", `${core}%`);
    if (fills[at]) fills[at].lastElementChild.textContent = percent(core);
  });
  traffic(status.network);
}

function traffic(network) {
  let bytes = 0;
  for (const [name, one] of Object.entries(network)) {
    if (!INSIDE.test(name)) bytes += one.bytes_recv + one.bytes_sent;
  }
  const at = performance.now();
  if (before && at > before.at) {
    const rate = Math.max(0, (bytes - before.bytes) / ((at - before.at) / 1000));
    charts.network.push(rate, 1024);
    now("network", `${size(rate)}/s`);
  }
  before = { at, bytes };
}

follow("/sockjs/status", {
  open: () => (before = null),
  message: (event) => show(JSON.parse(event.data)),
});
