// The server makes this strict, and writes two constants before it: VERSION of all that is kept, and
// FILES by their URLs.

/** How long the phone page is waited for before the kept one is shown, in milliseconds. */
const PATIENCE = 4_000;
const PAGES = ["./", "offline"];
const scope = self.registration.scope;
// Several services may lie below paths of one origin: each sees to its own caches.
const OURS = `smartsight ${scope} `;
const NAME = OURS + VERSION;

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(tidy()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const path = url.href.startsWith(scope) ? url.href.slice(scope.length) : null;
  if (event.request.method !== "GET" || path === null || path.startsWith("v1/")) return;
  if (event.request.mode === "navigate") event.respondWith(page(event, pageOf(url)));
  else if (FILES.includes(path)) event.respondWith(file(event.request, url));
});

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

/** Return which kept page a URL names, whatever its query; undefined if none. */
const pageOf = (url) => PAGES.find((name) => new URL(name, scope).href === url.origin + url.pathname);

async function page(event, kept) {
  const asked = fetch(event.request);
  try {
    const answer = await (kept ? Promise.race([asked, impatience()]) : asked);
    if (kept && answer.ok) event.waitUntil(renew(kept, answer.clone()));
    return answer;
  } catch {
    const wanted = event.request.url.slice(scope.length);
    return (kept && (await found(kept))) || Response.redirect(`${scope}offline#${wanted}`);
  }
}

const impatience = () =>
  new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in time")), PATIENCE));

const found = async (name) => (await caches.open(NAME)).match(new URL(name, scope));
const renew = async (name, answer) => (await caches.open(NAME)).put(new URL(name, scope), answer);

/** What has its digest in its URL is never old; anything else may belong to a newer page. */
async function file(request, url) {
  const kept = () => found(url.href);
  if (url.searchParams.has("v")) return (await kept()) ?? fetch(request);
  try {
    return await fetch(request);
  } catch {
    return (await kept()) ?? Response.error();
  }
}
