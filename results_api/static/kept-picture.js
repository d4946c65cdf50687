const KEY = "smartsight.picture";

/** Keep a picture in this tab while its user is on another page; a browser that stores nothing forgets it. */
export async function keepPicture({ content, name }) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ name, type: content.type, bytes: await base64(content) }));
  } catch {
    forgetPicture();
  }
}

/** Return the kept picture, which is then no longer kept, or null. */
export function takePicture() {
  try {
    const { name, type, bytes } = JSON.parse(sessionStorage.getItem(KEY));
    const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    return { content: new Blob([content], { type }), name };
  } catch {
    return null; // there is none, or storage is denied
  } finally {
    forgetPicture();
  }
}

export function forgetPicture() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Denied storage holds nothing.
  }
}

const base64 = (content) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(content);
  });
