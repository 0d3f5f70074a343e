// A colour map for temperatures whose steps look equally large: lightness rises evenly in OKLab (Ottosson 2020, with his toe
// for dark colours) while the hue turns from violet over red to yellow; the chroma is what the screen can show.
const STEPS = 256;
const LIGHT = [0.04, 0.96];
const HUE_DEG = [-78, 102];

const [K1, K2] = [0.206, 0.03];
const K3 = (1 + K1) / (1 + K2);
const fromEven = (even) => (even * even + K1 * even) / (K3 * (even + K2));

function linearRgb(lightness, chroma, hue) {
  const a = chroma * Math.cos(hue);
  const b = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

const encode = (value) => Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));

function colour(share) {
  const lightness = fromEven(LIGHT[0] + (LIGHT[1] - LIGHT[0]) * share);
  const hue = ((HUE_DEG[0] + (HUE_DEG[1] - HUE_DEG[0]) * share) * Math.PI) / 180;
  const wanted = 0.05 + 0.17 * Math.sin(Math.PI * Math.min(1, share * 0.85 + 0.08));
  let [low, high] = [0, wanted];
  for (let step = 0; step < 12; step++) {  // the largest chroma up to the wanted one that a screen can show
    const middle = (low + high) / 2;
    if (linearRgb(lightness, middle, hue).every((value) => value >= 0 && value <= 1)) low = middle;
    else high = middle;
  }
  return linearRgb(lightness, low, hue).map((value) => encode(Math.min(1, Math.max(0, value))));
}

export const PALETTE = Array.from({ length: STEPS }, (_, index) => colour(index / (STEPS - 1)));

// One 32-bit word for each grey, in the byte order of this machine's canvas.
const bytes = new Uint8ClampedArray(STEPS * 4);
PALETTE.forEach(([red, green, blue], index) => bytes.set([red, green, blue, 255], index * 4));
const words = new Uint32Array(bytes.buffer);

/** Colours grey pixels (ImageData) in place. */
export function colourise(image) {
  const pixels = new Uint32Array(image.data.buffer);
  const grey = image.data;
  for (let index = 0; index < pixels.length; index++) pixels[index] = words[grey[index * 4]];
}
