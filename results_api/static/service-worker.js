// The server adds "use strict" and two constants before this: VERSION of the cached files, and
// FILES by their URLs.

/** Milliseconds to wait for the page or a file of it before the cached one is used. */
const TIMEOUT = 4_000;
/** How many clients are remembered: each matters until its page has loaded. */
const MOST_AT_ONCE = 20;
const PAGES = ["./", "offline"];
const scope = self.registration.scope;
// Several services may share an origin, below different paths: each has caches of its own.
const OURS = `smartsight ${scope} `;
const NAME = OURS + VERSION;
/** Clients whose page came from the cache, so that they get files of the same version. */
const onKept = new Set();

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(tidy()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const path = url.href.startsWith(scope) ? url.href.slice(scope.length) : null;
  if (event.request.method !== "GET" || path === null || path.startsWith("v1/")) return;
  if (event.request.mode === "navigate") event.respondWith(page(event, pageOf(url)));
  else if (FILES.includes(path)) event.respondWith(file(event, url));
});

/** Cache all files of one version: a newer page comes with a newer worker. */
async function keep() {
  const cache = await caches.open(NAME);
  await cache.addAll([...PAGES, ...FILES]);
  await self.skipWaiting();
}

async function tidy() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(OURS) && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** Return the cached page of a URL, whatever its query; undefined if there is none. */
const pageOf = (url) => PAGES.find((name) => new URL(name, scope).href === url.origin + url.pathname);

async function page(event, kept) {
  const asked = fetch(event.request);
  try {
    return await (kept ? inTime(asked) : asked);
  } catch {
    remember(event.resultingClientId);
    const wanted = event.request.url.slice(scope.length);
    return (kept && (await found(kept))) || Response.redirect(`${scope}offline#${wanted}`);
  }
}

function remember(client) {
  onKept.add(client);
  if (onKept.size > MOST_AT_ONCE) onKept.delete(onKept.values().next().value);
}

const inTime = (asked) => Promise.race([asked, timeout()]);

const timeout = () =>
  new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in time")), TIMEOUT));

const found = async (name) => (await caches.open(NAME)).match(new URL(name, scope));

/** Files with a digest in their URL never change; others may belong to a newer page. */
async function file(event, url) {
  const kept = await found(url.href);
  if (!kept) return fetch(event.request);
  if (url.searchParams.has("v") || onKept.has(event.clientId)) return kept;
  try {
    const answer = await inTime(fetch(event.request));
    return answer.ok ? answer : kept;
  } catch {
    return kept;
  }
}
