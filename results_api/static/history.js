const KEY = "smartsight.history";

/** How many pictures are kept. */
export const MOST = 30;

/** The pictures classified on this device, newest first, in the browser's storage if it has any. */
export class History {
  #entries = [];
  isKept = true;

  constructor() {
    this.refresh();
  }

  get entries() {
    return this.#entries;
  }

  /** Take over the changes of other tabs. */
  refresh() {
    this.#entries = this.#read() ?? this.#entries;
  }

  add(entry) {
    // What could not be stored is in memory only.
    if (this.isKept) this.refresh();
    this.#entries = [entry, ...this.#entries].slice(0, MOST);
    this.#write();
  }

  clear() {
    this.#entries = [];
    this.#write();
  }

  /** Return the stored history, or null if storage is denied. */
  #read() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return Array.isArray(found) ? found.filter(isEntry).slice(0, MOST) : [];
    } catch (error) {
      // Denied storage throws an error of its own; damaged data is dropped.
      this.isKept = error instanceof SyntaxError;
      return this.isKept ? [] : null;
    }
  }

  #write() {
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#entries));
      this.isKept = true;
    } catch {
      this.isKept = false; // denied or full: the page says so
    }
  }
}

const isEntry = (entry) =>
  typeof entry?.time === "number" &&
  Array.isArray(entry.classes) &&
  entry.classes.length > 0 &&
  entry.classes.every((one) => typeof one?.name === "string" && typeof one.score === "number");
