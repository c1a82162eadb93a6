// The list of scenarios, kept true: a row anew when its scenario is another, the page when scenarios come or go.

import { poll, refresh } from "./poll.js";

function show(now) {
  const list = document.getElementById("scenarios");
  if (list?.dataset.stamp !== now.stamp && (list || now.scenarios.length)) return location.reload();
  for (const one of now.scenarios) {
    const row = list.querySelector(`.scenario[data-name="${CSS.escape(one.name)}"]`);
    if (row && row.dataset.stamp !== one.stamp) refresh(row, `${row.dataset.path}/row`);
  }
}

poll(() => "/scenarios-live", show);
