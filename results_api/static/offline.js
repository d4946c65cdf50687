/** How long until the page is tried again where the device knows of no trouble, in milliseconds. */
const PAUSE = 3_000;
const retry = document.getElementById("retry");
const wanted = new URL(location.hash.slice(1) || "./", location.href);
const goBack = () => location.replace(retry.href);

// Whoever made the link: it leads to a page of ours, or nowhere new.
if (wanted.origin === location.origin) retry.href = wanted.href;
window.addEventListener("online", goBack);
// The server is away, or the device says too early that it has a connection.
if (navigator.onLine) setTimeout(goBack, PAUSE);
