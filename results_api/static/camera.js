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
  #turn = 0; // a start whose turn is over has nothing to say any more
  #started = null;

  constructor(video) {
    this.#video = video;
  }

  /**
   * Resolve to whether there is a picture: there is none if it was stopped meanwhile. Reject with what
   * `obstacle` explains.
   */
  start() {
    this.#started ??= this.#open(++this.#turn);
    return this.#started;
  }

  async #open(turn) {
    let stream = null;
    try {
      stream = await asked();
      if (turn === this.#turn) await this.#show(stream);
    } catch (error) {
      if (turn === this.#turn) {
        this.stop();
        throw error;
      }
    }
    if (turn === this.#turn) return true;
    end(stream);
    return false;
  }

  #show(stream) {
    this.#video.srcObject = stream;
    return this.#video.play();
  }

  /** Switch it off, its light too. */
  stop() {
    this.#turn += 1;
    this.#started = null;
    end(this.#video.srcObject);
    this.#video.srcObject = null;
  }
}

function asked() {
  const size = { width: { ideal: 1280 }, height: { ideal: 960 } };
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", ...size }, audio: false });
}

const end = (stream) => stream?.getTracks().forEach((track) => track.stop());
