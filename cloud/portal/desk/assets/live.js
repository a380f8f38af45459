// Keeps what a page says of devices up to date while it is looked at. The stream
// only says that something changed: the page is then fetched again, and what is
// marked data-live is put in place of the same. What holds the focus is left
// alone until it has moved on. Without this script the page is as it was opened.
(() => {
  "use strict";
  if (!window.EventSource || !document.querySelector("[data-live]")) return;
  let stream = null, busy = false, missed = false, held = false;

  const swap = (next) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const name = CSS.escape(old.dataset.live);
      const fresh = next.querySelector(`[data-live="${name}"]`);
      if (!fresh || old.innerHTML === fresh.innerHTML) continue;
      if (old.contains(document.activeElement)) { held = true; continue; }
      old.replaceChildren(...fresh.childNodes);
    }
  };

  const look = async () => {
    if (busy) { missed = true; return; }
    busy = true;
    missed = held = false;
    try {
      const answer = await fetch(location.pathname + location.search, { redirect: "error" });
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* the next event looks again */ }
    busy = false;
    if (missed) look();
  };

  // Only a page that is looked at holds a stream: browsers have few connections.
  const follow = () => {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      stream = new EventSource("/live");
      stream.addEventListener("changed", look);
      stream.addEventListener("look", look);
    }
  };
  document.addEventListener("visibilitychange", () => { follow(); if (!document.hidden) look(); });
  document.addEventListener("focusout", () => { if (held) setTimeout(look); });
  follow();
})();
