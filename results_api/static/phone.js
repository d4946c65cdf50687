import { Camera, obstacle, permission } from "./camera.js";
import { classify, Failure } from "./classify.js";
import { History } from "./history.js";
import { forgetPicture, keepPicture, takePicture } from "./kept-picture.js";
import { fromFile, fromVideo, thumbnail } from "./picture.js";
import { showAnswer, showFailure, showHistory } from "./result.js";
import { fill, words } from "./words.js";

const at = (id) => document.getElementById(id);
const sight = at("sight");
const shutter = at("shutter");
const camera = new Camera(at("live"));
const history = new History();
const mostBytes = Number(sight.dataset.mostBytes);
let asked = null; // the current picture, made small, for a retry
let goesLive = false; // whether the camera runs while no picture is classified

/** Go to a state: "closed" (no live view), "live", "waiting", "answered" or "failed". */
function enter(state) {
  sight.dataset.state = state;
  for (const part of document.querySelectorAll("[data-in]")) {
    part.hidden = !belongs(part);
  }
  at("latest").hidden ||= !history.entries.length;
  const waits = state === "waiting";
  shutter.disabled = at("choose").disabled = waits;
  shutter.setAttribute("aria-busy", waits);
  if (waits) at("status").textContent = words.waiting;
}

const belongs = (part) => part.dataset.in.split(" ").includes(sight.dataset.state);
const isTaking = () => ["closed", "live"].includes(sight.dataset.state);
const isWaiting = () => sight.dataset.state === "waiting";

/** Offer the other ways to a picture while there is no live view, and say why. */
function close(reason) {
  goesLive = false;
  enter("closed");
  at("invitation").textContent = reason ? words.camera[reason] : words.invite;
  at("start").hidden = reason !== null && reason !== "failed";
  at("take").hidden = reason === null;
}

async function goLive() {
  if (obstacle()) return close(obstacle());
  goesLive = true;
  if (document.hidden) return; // the camera starts when the page is shown
  try {
    if (!(await camera.start())) return;
    if (isTaking() && goesLive) enter("live");
    else camera.stop();
  } catch (error) {
    if (isTaking()) close(obstacle(error));
  }
}

/** Classify the picture that `make` returns. */
async function look(make, name = "") {
  if (isWaiting()) return;
  removePicture();
  enter("waiting");
  try {
    asked = { content: await make(), name };
    camera.stop();
    showPicture();
    await ask();
  } catch (error) {
    fail(error instanceof Failure ? error : unusable(error));
  }
}

function unusable(error) {
  reportError(error); // a bug, or out of memory: shown in the console
  return new Failure(words.failures.unusable);
}

/** Clear the picture until there is a new one. */
function removePicture() {
  const picture = at("picture");
  URL.revokeObjectURL(picture.src);
  picture.removeAttribute("src");
  picture.alt = at("unread").textContent = "";
  forgetPicture();
}

function showPicture() {
  const picture = at("picture");
  picture.src = URL.createObjectURL(asked.content);
  picture.alt = asked.name ? fill(words.picture_named, asked) : words.picture;
}

async function ask() {
  const classes = await classify(asked.content, mostBytes);
  enter("answered");
  showAnswer(classes);
  at("again").focus();
  history.add({ time: Date.now(), thumbnail: await thumbnail(asked.content), classes });
  showHistory(history, reopen);
}

/** Show an earlier answer again. */
function reopen({ thumbnail, classes }) {
  if (isWaiting()) return;
  camera.stop();
  removePicture();
  enter("answered");
  if (thumbnail) at("picture").src = thumbnail;
  at("picture").alt = words.picture;
  showAnswer(classes);
  sight.scrollIntoView();
  at("again").focus();
}

function fail(failure) {
  camera.stop();
  enter("failed");
  showFailure(failure);
  if (failure.remedy === "key") keepPicture(asked); // the form for it is another page
  at("status").textContent = "";
  const helps = ["retry", "give-key", "again"].map(at);
  helps.find((button) => !button.hidden).focus();
}

function showPast() {
  showHistory(history, reopen);
  at("latest").hidden = !history.entries.length || !belongs(at("latest"));
}

async function again() {
  at("status").textContent = "";
  enter("closed");
  if (goesLive) await goLive();
  const next = [shutter, at("start"), at("choose")];
  next.find((button) => !button.hidden).focus();
}

const lookAtFile = (file) => file && look(() => fromFile(file), file.name);

function listenToButtons() {
  at("start").addEventListener("click", async () => {
    await goLive();
    if (!shutter.hidden) shutter.focus();
  });
  shutter.addEventListener("click", () => {
    // The camera is still starting on a page that was hidden.
    if (at("live").videoWidth) look(() => fromVideo(at("live")));
  });
  at("again").addEventListener("click", again);
  at("retry").addEventListener("click", () => look(async () => asked.content, asked.name));
  at("clear").addEventListener("click", () => {
    history.clear();
    showPast();
    at("status").textContent = words.history.cleared;
    at("choose").focus();
  });
}

function listenToFiles() {
  for (const [button, input] of [["choose", "file"], ["take", "camera-file"]]) {
    at(button).addEventListener("click", () => at(input).click());
    at(input).addEventListener("change", () => {
      lookAtFile(at(input).files[0]);
      at(input).value = ""; // the same file may be chosen again
    });
  }
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    lookAtFile(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => lookAtFile(event.clipboardData.files[0]));
}

function listenToDevice() {
  // A picture that the browser cannot read is replaced by its name.
  at("picture").addEventListener("error", () => {
    at("unread").textContent = at("picture").alt;
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) camera.stop();
    else if (goesLive && isTaking()) goLive();
  });
  // Another tab has added to the history, or cleared it.
  window.addEventListener("storage", () => {
    history.refresh();
    showPast();
  });
}

async function begin() {
  listenToButtons();
  listenToFiles();
  listenToDevice();
  showHistory(history, reopen);
  close(obstacle());
  const kept = takePicture();
  const known = obstacle() ? null : await permission();
  goesLive = known === "granted";
  if (kept) await look(async () => kept.content, kept.name);
  else if (known === "granted") await goLive();
  else if (known === "denied") close("denied");
}

// Last, so that taking a picture does not wait for it.
window.addEventListener("load", () => navigator.serviceWorker?.register("service-worker.js"));
begin();
