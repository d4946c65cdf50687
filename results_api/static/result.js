import { MOST } from "./history.js";
import { duration, fill, share, when, words } from "./words.js";

/** Below this score the page says that it is not sure. */
const UNSURE = 0.3;

const at = (id) => document.getElementById(id);

/** Classes have synonyms, such as "pizza, pizza pie". */
function namesOf(name) {
  const [first, ...others] = name.split(", ");
  return { first, others: others.join(", ") };
}

/** Show the classes of a picture, best first, and have screen readers announce the best. */
export function showAnswer([best, ...others]) {
  const names = namesOf(best.name);
  const unsure = best.score < UNSURE;
  at("lead").textContent = unsure ? words.unsure : words.best;
  at("best").textContent = names.first;
  at("score").textContent = share(best.score);
  at("best-bar").style.setProperty("--score", best.score);
  at("also").textContent = names.others && fill(words.also, { names: names.others });
  at("others").replaceChildren(...others.map(bar));
  const said = unsure ? words.said_unsure : words.said;
  at("status").textContent = fill(said, { name: names.first, score: share(best.score) });
}

function bar({ name, score }) {
  const row = at("bar").content.cloneNode(true);
  row.querySelector(".name").textContent = namesOf(name).first;
  row.querySelector(".share").textContent = share(score);
  row.querySelector(".bar-line").style.setProperty("--score", score);
  return row;
}

/** Show an error, and what helps; screen readers announce it. */
export function showFailure(failure) {
  at("reason").textContent = failure.message;
  at("wait").hidden = !failure.seconds;
  at("wait").textContent = failure.seconds ? fill(words.failures.wait, { time: duration(failure.seconds) }) : "";
  at("retry").hidden = failure.remedy !== "retry";
  at("give-key").hidden = failure.remedy !== "key";
}

/** Show the history; `open` is called with the entry that the user chooses. */
export function showHistory(history, open) {
  const { entries, isKept } = history;
  at("history").hidden = !entries.length;
  at("entries").replaceChildren(...entries.map((entry) => past(entry, open)));
  at("kept").textContent = isKept ? fill(words.history.where, { count: MOST }) : words.history.denied;
  const latest = at("latest").querySelector("img");
  if (entries[0]?.thumbnail) latest.src = entries[0].thumbnail;
  else latest.removeAttribute("src");
}

function past(entry, open) {
  const { time, thumbnail, classes: [best] } = entry;
  const row = at("entry").content.cloneNode(true);
  if (thumbnail) row.querySelector("img").src = thumbnail;
  row.querySelector("strong").textContent = namesOf(best.name).first;
  row.querySelector(".share").textContent = share(best.score);
  row.querySelector("time").textContent = when(time);
  row.querySelector("button").addEventListener("click", () => open(entry));
  row.querySelector("time").dateTime = new Date(time).toISOString();
  return row;
}
