// One scenario's page, kept true: all that moves comes anew when something of it has changed.

import { poll, refresh } from "./poll.js";

function show(now) {
  const place = document.getElementById("scenario-now");
  if (place.dataset.stamp !== now.stamp && !document.querySelector("dialog[open]")) refresh(place, `${place.dataset.path}/now`);
}

poll(() => `${document.getElementById("scenario-now").dataset.path}/live`, show, { everyMs: 1000, home: "/scenarios" });
