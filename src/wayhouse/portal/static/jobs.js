// The cron's jobs, kept true: when each runs next and ran last; rows anew when a job is another, the page when jobs come or go.

import { poll, put, refresh } from "./poll.js";

function show(now) {
  const list = document.getElementById("jobs");
  if ((list?.dataset.stamp ?? now.stamp) !== now.stamp && !document.querySelector("form input:focus")) return location.reload();
  for (const job of now.jobs) {
    const row = list?.querySelector(`.job[data-name="${CSS.escape(job.name)}"]`);
    if (!row) continue;
    if (row.dataset.stamp !== job.stamp) refresh(row, `${row.dataset.path}/row`);
    put(row.querySelector("[data-next]"), job.next || "never");
    put(row.querySelector("[data-last]"), job.last || "not yet");
  }
}

poll(() => "/jobs-live", show, { everyMs: 3000 });
