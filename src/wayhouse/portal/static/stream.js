// Follows a stream of server-sent events while somebody looks. A browser opens six connections to a gateway and no more,
// so tabs in the background give theirs back after a while and take it up again when they are looked at.

const REST_MS = 20_000;

/** `on`: { open, message(event), error(source), end }, all but `message` may be left out. */
export function follow(url, on, { rests = true } = {}) {
  let source = null;
  let timer = 0;
  let isOver = false;

  function open() {
    source = new EventSource(url);
    source.onopen = () => on.open?.();
    source.onmessage = on.message;
    source.onerror = () => on.error?.(source);
    source.addEventListener("end", () => {
      isOver = true;
      close();
      on.end?.();
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (isOver || !rests) return;
    if (document.hidden) timer = setTimeout(close, REST_MS);
    else if (!source) open();
  });
  addEventListener("pagehide", close);
  open();
}
