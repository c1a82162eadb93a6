// The place to drop a folder or an archive: sends it to the API with progress, then shows the change.

import { fromArchive, fromDrop, fromFolder } from "./choose.js";
import { size } from "./formats.js";

for (const place of document.querySelectorAll("[data-drop]")) setUp(place);

function setUp(place) {
  const inside = (name) => place.querySelector(`[data-${name}]`);
  let request = null;

  const choose = async (make) => {
    inside("error").hidden = true;
    try {
      send(await make());
    } catch (error) {
      fail(error.message);
    }
  };

  let depth = 0;
  const over = (is) => place.classList.toggle("over", is);
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => event.preventDefault());
  place.addEventListener("dragenter", () => over(++depth > 0));
  place.addEventListener("dragleave", () => over(--depth > 0));
  place.addEventListener("drop", (event) => {
    depth = 0;
    over(false);
    if (!request) choose(() => fromDrop(event.dataTransfer));
  });
  inside("folder").addEventListener("change", (event) => {
    if (event.target.files.length) choose(() => fromFolder(event.target.files));
  });
  inside("archive").addEventListener("change", (event) => {
    if (event.target.files.length) choose(() => fromArchive(event.target.files[0]));
  });
  inside("stop").addEventListener("click", () => request?.abort());

  function send(chosen) {
    const files = chosen.count === null ? "" : `${chosen.count} file${chosen.count === 1 ? "" : "s"}, `;
    inside("what").textContent = chosen.name;
    inside("size").textContent = files + size(chosen.blob.size);
    step("send");
    request = new XMLHttpRequest();
    request.open(place.dataset.method, place.dataset.action);
    request.setRequestHeader("content-type", chosen.type);
    request.setRequestHeader("hx-request", "true"); // no password dialog of the browser's own
    request.upload.onprogress = (event) => progress(event.loaded / Math.max(1, event.total));
    request.upload.onload = () => (inside("status").textContent = "Checking what was sent …");
    request.onload = () => done(request.status, request.responseText);
    request.onerror = () => fail("The connection to the gateway was lost.");
    request.onabort = () => fail("");
    progress(0);
    request.send(chosen.blob);
  }

  function progress(share) {
    place.querySelector("progress").value = Math.round(share * 100);
    inside("status").textContent = `Sending … ${Math.round(share * 100)} %`;
  }

  function done(status, body) {
    let reply = {};
    try {
      reply = JSON.parse(body);
    } catch {
      // not JSON: an answer of something between us and the gateway
    }
    if (status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    else if (status >= 200 && status < 300 && reply.change_id) location.assign(`/changes/${reply.change_id}`);
    else fail(reply.detail ?? `The gateway answered ${status}.`);
  }

  function fail(message) {
    request = null;
    step("choose");
    inside("error").hidden = !message;
    inside("error").querySelector("p").textContent = message;
    for (const input of place.querySelectorAll("input[type=file]")) input.value = "";
  }

  function step(name) {
    for (const one of place.querySelectorAll("[data-step]")) one.hidden = one.dataset.step !== name;
  }
}
