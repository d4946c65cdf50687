/** Return the server's error message, or the page's own where there is none. */

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
