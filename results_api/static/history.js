const KEY = "smartsight.history";

/** How many pictures are kept. */
export const MOST = 30;

/** What was seen on this device, newest first, kept by the browser if it does so at all. */
export class History {
  #entries = [];
  isKept = true;

  constructor() {
    this.refresh();
  }

  get entries() {
    return this.#entries;
  }

  /** Take over what other tabs made of it. */
  refresh() {
    this.#entries = this.#read() ?? this.#entries;
  }

  add(entry) {
    // What could not be kept is only here.
    if (this.isKept) this.refresh();
    this.#entries = [entry, ...this.#entries].slice(0, MOST);
    this.#write();
  }

  clear() {
    this.#entries = [];
    this.#write();
  }

  /** Return what is kept, or null if that is denied. */
  #read() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return Array.isArray(found) ? found.filter(isEntry).slice(0, MOST) : [];
    } catch (error) {
      // Storage that is denied says so by an error of its own; what is damaged begins anew.
      this.isKept = error instanceof SyntaxError;
      return this.isKept ? [] : null;
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
