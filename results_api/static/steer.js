/** Runs the actions of a job's buttons; those that cannot be undone are confirmed first. */

import { sentenceIn, tell, texts } from "./answers.js";

const dialog = document.getElementById("confirm");

function confirmed(button) {
  document.getElementById("question").textContent = button.dataset.sure;
  document.getElementById("yes").textContent = button.textContent;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function ask(button) {
  const { url, method, body } = button.dataset;
  return fetch(url, body ? { method, body, headers: { "Content-Type": "application/json" } } : { method });
}

async function press(button) {
  if (button.dataset.sure && !(await confirmed(button))) return;
  tell("refused", "");
  button.disabled = true;
  try {
    const answer = await ask(button);
    if (!answer.ok) tell("refused", sentenceIn(await answer.text(), answer.status));
    else if (button.dataset.then) location.assign(button.dataset.then);
    else document.dispatchEvent(new Event("steered"));
  } catch {
    tell("refused", texts.unreachable);
  }
  button.disabled = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-url]");
  if (button) press(button);
});
