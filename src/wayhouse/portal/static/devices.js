// The list of devices, kept true: values and switches in place, rows and the list anew when more than that has changed.

import { poll, put, putSwitch, refresh } from "./poll.js";

function query() {
  const { q, area, driver, state, page } = document.getElementById("list").dataset;
  return new URLSearchParams({ q, area, driver, state, page });
}

function show(now) {
  const list = document.getElementById("list");
  if (list.dataset.stamp !== now.stamp) return refresh(list, `/devices/list?${query()}`);
  for (const device of now.devices) showDevice(list, device);
}

function showDevice(list, device) {
  const row = list.querySelector(`.device[data-id="${CSS.escape(device.id)}"]`);
  if (!row) return;
  const places = [...row.querySelectorAll("[data-value]")];
  const names = Object.keys(device.values);
  const isSame = places.length === names.length && places.every((place) => place.dataset.value in device.values);
  if (row.dataset.stamp !== device.stamp || !isSame) return refresh(row, `${row.dataset.path}/row`);
  for (const place of places) put(place, device.values[place.dataset.value]);
  put(row.querySelector("[data-seen]"), device.seen);
  const button = row.querySelector(".switch");
  if (button && !row.querySelector(".htmx-request")) putSwitch(button, device.on);
}

poll(() => `/devices/live?${query()}`, show);
