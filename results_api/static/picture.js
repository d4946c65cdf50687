/*
 * Short side of uploaded pictures, in pixels. The model looks at the centre, 224 to 260 pixels a side, which is
 * 0.875 of the short side of a picture of 256 (or 0.89 of one of 292): more than that is discarded by the
 * server. Half as much again leaves pixels for its scaling.
 */
const SIDE = 448;
const QUALITY = 0.85;
const THUMBNAIL = 96;
/** The middle of a panorama is enough: the model sees nothing else. */
const WIDEST = 2;

/** Return the visible part of the video as a small JPEG. */
export function fromVideo(video) {
  if (!video.videoWidth) throw new Error("the video shows nothing yet");
  const shape = video.parentElement.clientWidth / video.parentElement.clientHeight;
  return encoded(shrunken(video, middle(video.videoWidth, video.videoHeight, shape, shape), SIDE));
}

/** Return a picture file turned upright, as a small JPEG; or the file itself if the browser cannot read it. */
export async function fromFile(file) {
  const image = await decoded(file);
  if (!image) return file;
  try {
    const { width, height } = sizeOf(image);
    return await encoded(shrunken(image, middle(width, height, 1 / WIDEST, WIDEST), SIDE));
  } finally {
    image.close?.();
  }
}

/** Return a square of the picture as a data URL, or null if the browser cannot read it. */
export async function thumbnail(file) {
  const image = await decoded(file);
  if (!image) return null;
  try {
    const { width, height } = sizeOf(image);
    return shrunken(image, middle(width, height, 1, 1), THUMBNAIL).toDataURL("image/jpeg", QUALITY);
  } finally {
    image.close?.();
  }
}

async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    // Some browsers read more formats, or turn pictures upright, only this way.
    return decodedByElement(file);
  }
}

async function decodedByElement(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

const sizeOf = (image) => ({
  width: image.naturalWidth || image.width,
  height: image.naturalHeight || image.height,
});

/** Return the middle of a picture whose width to height is within bounds. */
function middle(width, height, narrowest, widest) {
  const box = { width: Math.min(width, height * widest), height: Math.min(height, width / narrowest) };
  return { ...box, left: (width - box.width) / 2, top: (height - box.height) / 2 };
}

/** Halve a picture until it is small: scaled in one step, it would use only a few of its pixels. */
function shrunken(image, box, side) {
  let [source, from] = [image, box];
  do {
    const short = Math.min(from.width, from.height);
    source = drawn(source, from, Math.max(0.5, Math.min(1, side / short)));
    from = { left: 0, top: 0, width: source.width, height: source.height };
  } while (Math.min(from.width, from.height) > side);
  return source;
}

function drawn(source, from, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(from.width * scale));
  canvas.height = Math.max(1, Math.round(from.height * scale));
  const context = canvas.getContext("2d");
  // As on the server: transparent pixels become white.
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, from.left, from.top, from.width, from.height, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const encoded = (canvas) =>
  new Promise((resolve, reject) => {
    const give = (blob) => (blob ? resolve(blob) : reject(new Error("the canvas cannot be encoded")));
    canvas.toBlob(give, "image/jpeg", QUALITY);
  });
