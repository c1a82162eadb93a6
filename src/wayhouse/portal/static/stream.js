// Follows a stream of server-sent events while somebody looks. A browser opens six connections to a gateway and no more,
// so tabs in the background give theirs back after a while and take it up again when they are looked at. After a loss, as
// when the gateway is upgraded, it comes back by itself, and goes on after the last event where the stream has ids.

const REST_MS = 20_000;
const PAUSE_MS = 1000;
const GRACE_MS = 60_000;

/** `on`: { open(isResumed), message(event), lost(isGivenUp), end }, all but `message` may be left out. */
export function follow(url, on, { rests = true } = {}) {
  let source = null;
  let timer = 0;
  let last = "";
  let lostAt = 0;
  let isOver = false;

  function open() {
    clearTimeout(timer);
    const isResumed = last !== "";
    source = new EventSource(isResumed ? `${url}${url.includes("?") ? "&" : "?"}resume=${encodeURIComponent(last)}` : url);
    source.onopen = () => {
      lostAt = 0;
      on.open?.(isResumed);
    };
    source.onmessage = (event) => {
      last = event.lastEventId;
      on.message(event);
    };
    source.onerror = lose;
    source.addEventListener("end", () => {
      isOver = true;
      close();
      on.end?.();
    });
  }

  function lose() {
    close();
    lostAt ||= Date.now();
    const isGivenUp = Date.now() - lostAt >= GRACE_MS;
    if (isGivenUp) lostAt = 0;
    else timer = setTimeout(open, PAUSE_MS);
    on.lost?.(isGivenUp);
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (isOver) return;
    if (document.hidden) {
      if (rests && source) timer = setTimeout(close, REST_MS);
    } else if (source) clearTimeout(timer);
    else open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => {
    if (event.persisted && !source && !isOver) open();
  });
  open();
}
