/** Why there is no live view: "insecure", "missing", "denied" or "failed"; null if there may be one. */
export function obstacle(error) {
  if (!navigator.mediaDevices?.getUserMedia) return window.isSecureContext ? "missing" : "insecure";
  if (!error) return null;
  if (error.name === "NotAllowedError") return "denied";
  return ["NotFoundError", "OverconstrainedError"].includes(error.name) ? "missing" : "failed";
}

/** Return "granted", "denied" or "prompt"; some browsers do not tell before they are asked. */
export async function permission() {
  try {
    return (await navigator.permissions.query({ name: "camera" })).state;
  } catch {
    return "prompt";
  }
}

/** Shows what the camera behind the device sees. */
export class Camera {
  #video;
  #wanted = false;

  constructor(video) {
    this.#video = video;
  }

  /** Resolve when there is a picture; reject with what `obstacle` explains. */
  async start() {
    if (this.#wanted) return;
    this.#wanted = true;
    try {
      const size = { width: { ideal: 1280 }, height: { ideal: 960 } };
      const wish = { video: { facingMode: "environment", ...size }, audio: false };
      await this.#show(await navigator.mediaDevices.getUserMedia(wish));
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  async #show(stream) {
    this.#video.srcObject = stream;
    // It may have been stopped while its owner was being asked.
    if (!this.#wanted) this.stop();
    else await this.#video.play();
  }

  /** Switch it off, its light too. */
  stop() {
    this.#wanted = false;
    this.#video.srcObject?.getTracks().forEach((track) => track.stop());
    this.#video.srcObject = null;
  }
}
