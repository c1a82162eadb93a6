// One device's page, kept true: values and what its controls stand at, but never what somebody is just about to set.

import { poll, put, putSwitch, refresh } from "./poll.js";

function show(now) {
  const head = document.getElementById("device-head");
  if (head.dataset.stamp !== now.stamp) refresh(head, `${head.dataset.path}/head`);
  const seen = document.querySelector("dd[data-seen]");
  if (now.seen) put(seen, now.seen);
  for (const [command, control] of Object.entries(now.controls)) showControl(command, control);
}

function showControl(command, now) {
  const item = document.querySelector(`.control[data-command="${CSS.escape(command)}"]`);
  if (!item || item.querySelector(".htmx-request")) return;
  put(item.querySelector("[data-time]"), now.time ? ` · ${now.time}` : "");
  const field = item.querySelector("[name=value]:not([type=hidden])");
  if (field && (field === document.activeElement || field.dataset.touched)) return;
  put(item.querySelector("[data-text]"), now.text);
  if (item.dataset.kind === "switch") putSwitch(item.querySelector(".switch"), now.value === true);
  if (field && now.value !== null && field.value !== String(now.value)) field.value = String(now.value);
}

document.addEventListener("input", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLElement) || !field.closest(".control")) return;
  field.dataset.touched = "yes"; // until its control comes anew, with what was set
  if (field.type === "range") put(field.parentElement.querySelector("[data-text]"), `${Number(field.value)} ${field.dataset.unit}`.trim());
});

poll(() => `${document.getElementById("device-head").dataset.path}/live`, show, { home: "/devices" });

// A camera's picture is asked for anew while somebody looks.
const picture = document.querySelector("[data-picture] img");
if (picture) {
  const address = picture.getAttribute("src");
  setInterval(() => {
    if (!document.hidden) picture.src = `${address}?at=${Date.now()}`;
  }, 10_000);
}
