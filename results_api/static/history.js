const KEY = "smartsight.history";

/** How many pictures are kept. */
export const MOST = 30;

/** What was seen on this device, newest first, kept by the browser if it does so at all. */
export class History {
  #entries;
  isKept = true;

  constructor() {
    this.#entries = this.#read();
  }

  get entries() {
    return this.#entries;
  }

  add(entry) {
    this.#entries = [entry, ...this.#entries].slice(0, MOST);
    this.#write();
  }

  clear() {
    this.#entries = [];
    this.#write();
  }

  #read() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return Array.isArray(found) ? found.filter(isEntry).slice(0, MOST) : [];
    } catch (error) {
      // Storage that is denied says so by an error of its own; what is damaged begins anew.
      this.isKept = error instanceof SyntaxError;
      return [];
    }
  }

  #write() {
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#entries));
      this.isKept = true;
    } catch {
      this.isKept = false; // denied, or full: the page says so
    }
  }
}

const isEntry = (entry) =>
  typeof entry?.time === "number" && Array.isArray(entry.classes) && typeof entry.classes[0]?.name === "string";
