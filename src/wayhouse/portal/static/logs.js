// A log that follows: lines are put in place once a frame however fast they come, and only the newest are kept.

import { clock } from "./formats.js";
import { follow } from "./stream.js";

const MOST = 5000;
const MOST_WAITING = 20_000;

const place = document.querySelector("[data-log]");
const lines = place.querySelector("[data-lines]");
const inside = (name) => place.querySelector(`[data-${name}]`);
const isPlain = "plain" in place.dataset;
const hasServices = Number(place.dataset.services ?? 1) > 1;

let waiting = [];
let isPaused = false;
let words = "";
let isScheduled = false;

function item(line) {
  const li = document.createElement("li");
  const time = document.createElement("time");
  const moment = isPlain ? Date.now() / 1000 : Date.parse(line.timestamp) / 1000;
  time.textContent = Number.isNaN(moment) ? "" : clock(moment);
  li.append(time);
  if (hasServices && line.service) {
    const service = document.createElement("b");
    service.textContent = line.service;
    li.append(service);
  }
  const message = document.createElement("span");
  message.textContent = line.message;
  li.append(message);
  return li;
}

function put() {
  isScheduled = false;
  if (isPaused || waiting.length === 0) return tally();
  const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 40;
  const some = waiting.slice(-MOST);
  waiting = [];
  const fragment = document.createDocumentFragment();
  for (const line of some) {
    const li = item(line);
    li.hidden = !fits(li);
    fragment.append(li);
  }
  lines.append(fragment);
  while (lines.childElementCount > MOST) lines.firstElementChild.remove();
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
  tally();
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(put);
}

function fits(li) {
  return words === "" || li.textContent.toLowerCase().includes(words);
}

function tally() {
  const shown = words === "" ? "" : `${[...lines.children].filter((li) => !li.hidden).length} of ${lines.childElementCount} lines`;
  inside("count").textContent = isPaused && waiting.length ? `${waiting.length} more waiting` : shown;
}

function take(line) {
  waiting.push(line);
  if (waiting.length > MOST_WAITING) waiting.splice(0, waiting.length - MOST_WAITING);
  schedule();
}

const say = (text) => (inside("status").textContent = text);

inside("pause").addEventListener("click", (event) => {
  isPaused = !isPaused;
  event.currentTarget.setAttribute("aria-pressed", String(isPaused));
  event.currentTarget.querySelector("span").textContent = isPaused ? "Go on" : "Pause";
  say(isPaused ? "Paused. New lines wait." : "Following.");
  schedule();
});
inside("wrap").addEventListener("click", (event) => {
  const wraps = lines.classList.toggle("wrap");
  event.currentTarget.setAttribute("aria-pressed", String(wraps));
});
inside("filter").addEventListener("input", (event) => {
  words = event.target.value.trim().toLowerCase();
  for (const li of lines.children) li.hidden = !fits(li);
  lines.scrollTop = lines.scrollHeight;
  tally();
});
lines.classList.add("wrap");
lines.scrollTop = lines.scrollHeight;
if (isPlain) for (const time of lines.querySelectorAll("time[datetime]")) time.textContent = clock(Date.parse(time.dateTime) / 1000);

follow(
  place.dataset.log,
  {
    open(isResumed) {
      if (!isPlain && !isResumed) {
        lines.replaceChildren(); // the stream begins with the last lines again
        waiting = [];
      }
      say(isPaused ? "Paused. New lines wait." : "Following.");
    },
    message: (event) => take(isPlain ? { message: event.data } : JSON.parse(event.data)),
    lost(isGivenUp) {
      say(isGivenUp ? "The gateway cannot be reached. Load the page again once it is back." : "Connection lost; trying again …");
    },
    end: () => say("The log has ended."),
  },
  { rests: !isPlain },
);
