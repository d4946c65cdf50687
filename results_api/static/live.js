/**
 * Keeps parts of a page as the server would show them now.
 *
 * An element with `data-live` is found, by its id, at the URL that this gives. It is looked at anew at the
 * moments that `data-when` names: at the "start", at each "change", and in the "end". As long as there is an
 * element with `data-every`, the page changes: when the stream of events at its `data-events` says so, or
 * else every so many seconds. A stream that says nothing for long may be dead: it is opened again.
 *
 * Where somebody is at a part, it stays as it is until they let go of it: no click and no selection is lost.
 */

import { tell, texts } from "./answers.js";
import { isHeld } from "./holding.js";

const parser = new DOMParser();
/** Milliseconds between two looks. */
const PAUSE = 1000;
/** Milliseconds that an answer may take. */
const PATIENCE = 15_000;
/** So many times `data-every` may a stream be silent. */
const SILENCE = 8;

let stream = null;
let timer = null;
let silence = null;
let looked = 0;
let complaint = null;
/** Parts that changed while somebody was at them: with the next change they are looked at again. */
const late = new Set();
let moving = Boolean(mover());

/** The server answered, but not with what was looked for. */
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

/** A form in a part may be being filled in: only what `data-part` names is replaced then. */
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
  const answer = await fetch(element.dataset.live, { signal: AbortSignal.timeout(PATIENCE) });
  const page = parser.parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(element.id);
  // A page that fails can have the part, too, with the reason in it.
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

/** Waits for what comes next: the stream tells, or time does. */
function wait(now) {
  if (document.hidden) return;
  const { events, every } = now.dataset;
  if (!events) soon(1000 * every);
  else if (!stream) listen(events, every);
  else if (stream.readyState === EventSource.CLOSED) soon(1000 * every);
  if (events) silence = setTimeout(listenAnew, 1000 * every * SILENCE);
}

/** A connection that died quietly, or something between that holds the events back, tells of no error. */
function listenAnew() {
  hush();
  changed();
}

function listen(events, every) {
  stream = new EventSource(events);
  stream.addEventListener("job", changed);
  stream.addEventListener("over", changed);
  stream.addEventListener("error", () => {
    // What closed for good was refused; else the browser comes again by itself.
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
