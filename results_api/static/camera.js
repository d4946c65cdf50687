/** Why there is no live view: "insecure", "missing", "denied" or "failed"; null if there may be one. */
export function obstacle(error) {
  if (!navigator.mediaDevices?.getUserMedia) return window.isSecureContext ? "missing" : "insecure";
  if (!error) return null;
  if (error.name === "NotAllowedError") return "denied";
  return ["NotFoundError", "OverconstrainedError"].includes(error.name) ? "missing" : "failed";
}

/** Return "granted", "denied" or "prompt"; some browsers do not tell before the camera is requested. */
export async function permission() {
  try {
    return (await navigator.permissions.query({ name: "camera" })).state;
  } catch {
    return "prompt";
  }
}

/** Shows the picture of the rear camera. */
export class Camera {
  #video;
  #turn = 0; // a start that was superseded has no effect
  #started = null;

  constructor(video) {
    this.#video = video;
  }

  /**
   * Resolve to whether the camera runs: it does not if it was stopped meanwhile. Reject with an error that
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

  /** Stop the camera, and its light. */
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
