/** Milliseconds until the page is loaded again where the device believes it is online. */
const PAUSE = 3_000;
const retry = document.getElementById("retry");
const wanted = new URL(location.hash.slice(1) || "./", location.href);
const goBack = () => location.replace(retry.href);

// Links come from anywhere: only a page of ours is loaded.
if (wanted.origin === location.origin) retry.href = wanted.href;
window.addEventListener("online", goBack);
// The server is down, or the device reports a connection too early.
if (navigator.onLine) setTimeout(goBack, PAUSE);
