/** Submits a job: pasted URLs are sent as a list, like a file that was chosen or dropped. */

import { sentenceIn, tell, texts } from "./answers.js";

const form = document.getElementById("submit");
const urls = document.getElementById("urls");
const file = document.getElementById("file");
const noFile = document.getElementById("no-file");
const budget = document.getElementById("budget");
const sent = document.getElementById("sent");
const button = form.querySelector("button.primary");
const label = button.textContent;

/** The idempotency key: a retry after an error finds the same job. */
let key = null;

function newKey() {
  const numbers = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(numbers, (number) => number.toString(16).padStart(2, "0")).join("");
}

function list() {
  if (file.files.length) return file.files[0];
  if (!urls.value.trim()) return null;
  return new File([urls.value], "list.txt", { type: "text/plain" });
}

function parts(chosen) {
  const data = new FormData();
  for (const [name, text] of new FormData(form)) {
    if (text.trim()) data.append(name, text.trim());
  }
  if (budget.value) data.append("max_failure_rate", budget.valueAsNumber / 100);
  data.append("file", chosen, chosen.name);
  return data;
}

function busy(is) {
  button.disabled = is;
  button.textContent = is ? button.dataset.busy : label;
  sent.hidden = !is;
  sent.value = 0;
}

function refused(sentence) {
  busy(false);
  tell("refused", sentence);
}

function answered(request) {
  if (request.status !== 202) {
    refused(sentenceIn(request.responseText, request.status));
    return;
  }
  location.assign(form.dataset.page + JSON.parse(request.responseText).data.id);
}

/** fetch() does not report upload progress. */
function send(data) {
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) sent.value = event.loaded / event.total;
  });
  request.addEventListener("load", () => answered(request));
  request.addEventListener("error", () => refused(texts.unreachable));
  request.open("POST", form.dataset.to);
  request.setRequestHeader("Idempotency-Key", (key ??= newKey()));
  request.send(data);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = list();
  if (!chosen) {
    refused(texts.nothing);
    urls.focus();
    return;
  }
  tell("refused", "");
  busy(true);
  send(parts(chosen));
});

/** A chosen file takes precedence over pasted URLs. */
function showChoice() {
  const chosen = file.files.length > 0;
  urls.disabled = chosen;
  noFile.hidden = !chosen;
}

form.addEventListener("input", () => (key = null));
// Browsers show no validation error inside closed details, and do not submit.
form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
file.addEventListener("change", () => {
  key = null;
  showChoice();
});
noFile.addEventListener("click", () => {
  file.value = "";
  file.dispatchEvent(new Event("change"));
  file.focus();
});
// Back from the job's page, the browser restores this page as it was.
addEventListener("pageshow", () => {
  busy(false);
  showChoice();
});

const place = document.getElementById("new");

function brings(event) {
  return event.dataTransfer.types.includes("Files");
}

place.addEventListener("dragover", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  place.classList.add("dropping");
});
place.addEventListener("dragleave", () => place.classList.remove("dropping"));
place.addEventListener("drop", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  place.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  file.files = event.dataTransfer.files;
  file.dispatchEvent(new Event("change"));
});
