// What every page has: the colour switch, questions before something is lost, local times, copying.

const THEMES = { auto: "light", light: "dark", dark: "auto" };

document.querySelector("[data-theme-form]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const root = document.documentElement;
  const theme = THEMES[root.dataset.theme] ?? "auto";
  root.dataset.theme = theme;
  form.elements.theme.value = THEMES[theme];
  form.querySelector("button").setAttribute("aria-label", `Colours: ${theme}. Change`);
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `wayhouse_theme=${theme}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
});

// A form with data-sure is sent only after the dialog said yes. Listening in the capture phase comes before htmx.
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.sure || form.dataset.isSure) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(form);
  },
  true,
);

function ask(form) {
  const dialog = document.getElementById("sure");
  document.getElementById("sure-title").textContent = form.dataset.sure;
  document.getElementById("sure-text").textContent = form.dataset.sureText ?? "";
  document.getElementById("sure-yes").textContent = form.dataset.sureYes ?? "Yes";
  dialog.returnValue = "no";
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue !== "yes") return;
      const sure = Object.assign(document.createElement("input"), { type: "hidden", name: "sure", value: "yes" });
      form.append(sure);
      form.dataset.isSure = "yes";
      form.requestSubmit();
      delete form.dataset.isSure;
      sure.remove();
    },
    { once: true },
  );
  dialog.showModal();
}

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  if ("dismiss" in button.dataset) button.closest(".notice").remove();
  if ("copy" in button.dataset) await copy(button);
});

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    const label = button.lastChild;
    label.textContent = "Copied";
    setTimeout(() => (label.textContent = "Copy"), 1500);
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without TLS: select it, so that Ctrl-C does it
  }
}

document.addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement && "submit" in event.target.dataset) event.target.form.requestSubmit();
});

for (const code of document.querySelectorAll("[data-absolute]")) code.textContent = location.origin + code.textContent;
const begin = document.querySelector("[data-begin]");
if (begin) begin.textContent = begin.textContent.replace(/GATEWAY=\S+/, `GATEWAY=${location.origin}`);

export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = moment.toLocaleString();
    if ("exact" in time.dataset) time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  }
}
localTimes(document);
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
