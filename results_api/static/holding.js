/**
 * Tells whether the user is interacting with a fragment: pressing something in it, or selecting text.
 * When that ends, the document gets a "released" event.
 */

/** Milliseconds after a press within which its click can come. */
const CLICK = 300;

let pressed = null;
let timer = null;

export function isHeld(element) {
  const selection = getSelection();
  return element.contains(pressed) || (!selection.isCollapsed && selection.containsNode(element, true));
}

function press(event) {
  clearTimeout(timer);
  pressed = event.target;
}

function tell() {
  document.dispatchEvent(new Event("released"));
}

function letGo() {
  clearTimeout(timer);
  pressed = null;
  tell();
}

function release() {
  clearTimeout(timer);
  timer = setTimeout(letGo, CLICK);
}

document.addEventListener("pointerdown", (event) => {
  if (event.button === 0) press(event);
});
document.addEventListener("keydown", (event) => {
  if (event.key === " ") press(event);
});
// Where a menu opens, there may be no event for the end of the press.
for (const end of ["pointerup", "pointercancel", "contextmenu", "keyup"]) document.addEventListener(end, release);
document.addEventListener("click", letGo);
document.addEventListener("selectionchange", tell);
