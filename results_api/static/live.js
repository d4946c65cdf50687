/**
 * Keeps fragments of a page up to date.
 *
 * An element with `data-live` is loaded from that URL, where it has the same id. `data-when` says when: at
 * the "start", at each "change", at the "end". The page changes as long as it has an element with
 * `data-every`: with each event of the stream at its `data-events`, or else every so many seconds. A stream
 * that is silent for long may be dead: it is opened again.
 *
 * Fragments that the user is interacting with are not replaced until they let go: no click is lost.
 */

import { tell, texts } from "./answers.js";
import { isHeld } from "./holding.js";

const parser = new DOMParser();
/** Milliseconds between two updates. */
const PAUSE = 1000;
/** Request timeout in milliseconds. */
const TIMEOUT = 15_000;
/** How many times `data-every` a stream may be silent. */
const SILENCE = 8;

let stream = null;
let timer = null;
let silence = null;
let looked = 0;
let complaint = null;
/** Fragments that changed while the user was interacting with them: updated with the next change. */
const late = new Set();
let moving = Boolean(mover());

/** The response has another status than expected. */
class Refusal extends Error {}

function mover() {
  return document.querySelector("[data-every]");
}

function replace(element, fresh) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  for (const opened of element.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${opened.id}`)?.setAttribute("open", "");
  }
  if (fresh.isEqualNode(element)) return;
  if (isHeld(element)) {
    late.add(element);
    return;
  }
  late.delete(element);
  element.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** The user may be filling in a form of a fragment: then only what `data-part` names is replaced. */
function renew(element, fresh) {
  const part = element.dataset.part;
  if (fresh.dataset.said !== element.dataset.said) {
    tell("said", fresh.dataset.said);
    element.dataset.said = fresh.dataset.said;
  }
  if (!part) {
    replace(element, fresh);
    return;
  }
  element.dataset.when = fresh.dataset.when;
  replace(document.getElementById(part), fresh.querySelector(`#${part}`));
}

async function look(element) {
  const answer = await fetch(element.dataset.live, { signal: AbortSignal.timeout(TIMEOUT) });
  const page = parser.parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(element.id);
  // An error page can have the fragment, too, with the reason in it.
  if (!answer.ok && !fresh) throw new Refusal(texts.failed.replace("{status}", answer.status));
  if (fresh && element.isConnected) renew(element, fresh);
}

async function lookAtAll(elements) {
  try {
    await Promise.all(elements.map(look));
    if (document.getElementById("said").textContent === complaint) tell("said", "");
  } catch (error) {
    complaint = error instanceof Refusal ? error.message : texts.offline;
    tell("said", complaint);
    for (const again of document.querySelectorAll("[data-refresh]")) again.hidden = false;
  }
}

async function lookAt(moment, ...others) {
  await lookAtAll([...new Set([...document.querySelectorAll(`[data-when~="${moment}"]`), ...others])]);
}

function hush() {
  stream?.close();
  stream = null;
  clearTimeout(silence);
  clearTimeout(timer);
  timer = null;
}

function soon(milliseconds) {
  timer ??= setTimeout(change, milliseconds);
}

function changed() {
  soon(Math.max(0, looked + PAUSE - Date.now()));
}

function catchUp() {
  if ([...late].every(isHeld)) return;
  looked = 0;
  changed();
}

async function change() {
  clearTimeout(silence);
  const owed = [...late].map((element) => element.closest("[data-live]"));
  late.clear();
  await lookAt("change", ...owed);
  looked = Date.now();
  timer = null;
  const now = mover();
  if (now) {
    wait(now);
  } else if (moving) {
    hush();
    await lookAt("end");
  }
  moving = Boolean(now);
  catchUp();
}

/** Waits for the next change: an event, or a timer. */
function wait(now) {
  if (document.hidden) return;
  const { events, every } = now.dataset;
  if (!events) soon(1000 * every);
  else if (!stream) listen(events, every);
  else if (stream.readyState === EventSource.CLOSED) soon(1000 * every);
  if (events) silence = setTimeout(listenAnew, 1000 * every * SILENCE);
}

/** A dead connection, or a proxy that buffers events, causes no error event. */
function listenAnew() {
  hush();
  changed();
}

function listen(events, every) {
  stream = new EventSource(events);
  stream.addEventListener("job", changed);
  stream.addEventListener("over", changed);
  stream.addEventListener("error", () => {
    // A closed stream was refused; otherwise the browser reconnects by itself.
    if (stream.readyState === EventSource.CLOSED) soon(1000 * every);
  });
}

document.addEventListener("steered", () => {
  looked = 0;
  moving = true;
  changed();
});
document.addEventListener("released", catchUp);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hush();
  else if (mover()) changed();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-refresh]");
  if (button) lookAtAll([document.getElementById(button.dataset.refresh)]);
});

lookAt("start");
if (moving) wait(mover());
