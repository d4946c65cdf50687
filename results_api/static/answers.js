/** What the server says of a failure, in its own sentence; the page's words where it says nothing. */

export const texts = JSON.parse(document.getElementById("texts").textContent);

export function sentenceIn(body, status) {
  try {
    return JSON.parse(body).error.message;
  } catch {
    return texts.failed.replace("{status}", status);
  }
}

export function tell(id, sentence) {
  const place = document.getElementById(id);
  place.textContent = sentence;
  place.hidden = !sentence;
}
