import { fill, words } from "./words.js";

/** Request timeout in milliseconds. */
const TIMEOUT = 30_000;
const MEGABYTE = 1_000_000;

/** Why a request failed: a message, what helps ("retry", "key" or null), and seconds to wait before. */
export class Failure extends Error {
  constructor(message, remedy = null, seconds = null) {
    super(message);
    this.remedy = remedy;
    this.seconds = seconds;
  }
}

/** Return the classes of a picture, best first; throw a `Failure`. */
export async function classify(picture, mostBytes) {
  if (picture.size > mostBytes) {
    throw new Failure(fill(words.failures.too_large, { megabytes: Math.floor(mostBytes / MEGABYTE) }));
  }
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), TIMEOUT);
  try {
    return await answerOf(await post(picture, given.signal));
  } catch (error) {
    throw error instanceof Failure ? error : unanswered(given.signal.aborted);
  } finally {
    clearTimeout(timer);
  }
}

function post(picture, signal) {
  // The server detects the format; another type could be read as a form.
  const headers = { "Content-Type": "application/octet-stream" };
  return fetch("v1/classify", { method: "POST", body: picture, headers, signal });
}

function unanswered(isLate) {
  const { slow, offline, unreachable } = words.failures;
  return new Failure(isLate ? slow : navigator.onLine ? unreachable : offline, "retry");
}

async function answerOf(response) {
  const text = await response.text();
  const body = parsed(text);
  if (!response.ok) throw refused(response, body);
  const classes = body?.data;
  if (!Array.isArray(classes) || !classes.length) throw new Failure(words.failures.strange, "retry");
  return classes.map(({ class: name, score }) => ({ name: String(name), score: Number(score) }));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy responded with a page of its own
  }
}

/** Return an error in the page's own words: those of the API are for programs. */
function refused(response, body) {
  const { codes, refused, strange } = words.failures;
  const message = body?.error ? (codes[body.error.type] ?? refused) : strange;
  const { status } = response;
  if (status === 401 || status === 403) return new Failure(message, "key");
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  const helps = status === 429 || status >= 500;
  return new Failure(message, helps ? "retry" : null, seconds || null);
}
