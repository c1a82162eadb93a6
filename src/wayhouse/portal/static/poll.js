// Asks again and again for what moves, and rests while nobody looks. `show` gets the JSON; `again()` asks at once, as after
// a command.

const FAILED_MS = 6000;

/** `address` is a function; `home` is where to go when the thing is gone (404), left out: stay. */
export function poll(address, show, { everyMs = 2000, home = "" } = {}) {
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    let pause = everyMs;
    try {
      const reply = await fetch(address(), { headers: { accept: "application/json", "hx-request": "true" } });
      if (reply.status === 401 || reply.redirected) return location.reload();
      if (reply.status === 404 && home) return location.assign(home);
      if (reply.ok) show(await reply.json());
    } catch {
      pause = FAILED_MS; // the gateway is away for a moment; go on asking
    }
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, pause);
  }

  function again() {
    clearTimeout(timer);
    timer = setTimeout(look, 150);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) look();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.requestConfig.verb === "post") again();
  });
  again();
  return again;
}

/** Changes the text of a place only if it is another one, so that what is selected stays selected. */
export function put(place, text) {
  if (place && place.textContent !== text) place.textContent = text;
}

export function putSwitch(button, isOn) {
  const next = button?.form?.querySelector("[data-next]");
  if (!next) return;
  button.setAttribute("aria-checked", String(isOn));
  next.value = String(!isOn);
}

/** Asks htmx for a part anew, unless it is under way. */
export function refresh(place, address) {
  if (place.matches(".htmx-request") || place.querySelector(".htmx-request")) return;
  htmx.ajax("GET", address, { target: place, swap: "outerHTML" });
}
