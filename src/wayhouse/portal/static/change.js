// The steps of a change: marks which lines are steps and how long each took; follows a change that is not over.

import { duration } from "./formats.js";
import { localTimes } from "./page.js";
import { follow } from "./stream.js";

const STEP = /^(Fetching|Downloading|Cloning|Keeping|Preparing|Building|Pulling|Creating|Starting|Stopping|Checking|Removing|Scheduling|Reserving|The old version|The gateway was|The machine|Rebooting|Halting)/;
const steps = document.getElementById("steps");
let current = null;

function mark(item) {
  const message = item.firstChild?.textContent ?? "";
  const time = Number(item.dataset.time);
  const isVerdict = /^Completed .*: (success|failure)$/.test(message);
  const isUndo = message.startsWith("Undoing:");
  const isBad = message.startsWith("Reason:") || message.startsWith("Could not undo");
  if (!(isVerdict || isUndo || isBad || STEP.test(message))) return;
  if (isUndo || message.startsWith("Reason:")) fault();
  finish(time);
  item.classList.add("step");
  if (isUndo) item.classList.add("undo");
  if (isBad || (isVerdict && message.endsWith("failure"))) item.classList.add("bad");
  if (isVerdict) {
    item.classList.add("verdict");
    item.firstChild.textContent = message.endsWith("success") ? "Done" : "Failed";
    item.title = message;
  } else {
    current = item;
  }
}

/** The step that was under way when the change began to be undone is the one that failed. */
function fault() {
  if (current && !current.classList.contains("undo")) current.classList.add("bad");
}

function finish(time) {
  if (!current) return;
  current.classList.remove("now");
  const took = time - Number(current.dataset.time);
  if (took >= 0.1) {
    const span = document.createElement("span");
    span.className = "took";
    span.textContent = took < 10 ? `${took.toFixed(1)} s` : duration(took);
    current.append(span);
  }
  current = null;
}

function add(line) {
  const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
  const item = document.createElement("li");
  item.dataset.time = line.time;
  item.textContent = line.message;
  steps.append(item);
  mark(item);
  current?.classList.add("now");
  if (isAtEnd) scrollTo({ top: document.documentElement.scrollHeight });
}

async function showHead() {
  const reply = await fetch(`/changes/${steps.dataset.change}/head`, { headers: { "hx-request": "true" } });
  if (!reply.ok) return null;
  const parsed = new DOMParser().parseFromString(await reply.text(), "text/html");
  const head = parsed.getElementById("change-head");
  document.getElementById("change-head").replaceWith(head);
  localTimes(head);
  return head;
}

function watch() {
  begin();
  let isFirst = true;
  const message = (event) => {
    if (isFirst) showHead();
    isFirst = false;
    add(JSON.parse(event.data));
  };
  const open = (isResumed) => isResumed || begin();
  follow(`/ws/changes/${steps.dataset.change}/stream`, { open, message, lost, end }, { rests: false });
}

function begin() {
  steps.replaceChildren();
  current = null;
}

function lost(isGivenUp) {
  if (!isGivenUp) return;
  const item = document.createElement("li");
  item.textContent = "The gateway cannot be reached. Load the page again once it is back.";
  steps.append(item);
}

async function end() {
  current?.classList.remove("now");
  const head = await showHead();
  const isOver = head?.dataset.over === "yes";
  if (isOver) document.title = `${head.dataset.state === "succeeded" ? "Done" : "Failed"} · ${document.title}`;
  else setTimeout(showHead, 500);
}

if (document.getElementById("change-head").dataset.over === "yes") {
  for (const item of steps.children) mark(item);
  finish(NaN);
} else {
  watch();
}
