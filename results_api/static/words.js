/** All texts of the page, in its language. */
export const words = JSON.parse(document.getElementById("texts").textContent);

/** Return a text with values in place of their names in braces. */
export const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);

const language = document.documentElement.lang;
const percent = new Intl.NumberFormat(language, { style: "percent", maximumSignificantDigits: 2 });
const moment = new Intl.DateTimeFormat(language, {
  month: "short",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
});

export const share = (score) => percent.format(score);
export const when = (time) => moment.format(time);

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

/** Return a waiting time in seconds in words, rounded up: never less than two of a larger unit. */
export function duration(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= 2 * size) ?? UNITS.at(-1);
  const style = { style: "unit", unit, unitDisplay: "long" };
  return new Intl.NumberFormat(language, style).format(Math.ceil(seconds / size));
}
