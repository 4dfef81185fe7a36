/** The letters and the colour of a connector whose vendor has no free icon. */

export interface Monogram {
  letters: string;
  /** Six hex digits. */
  colour: string;
}

/** “Acme Help” → AH. The same connector has the same colour everywhere: its vendor's, or one made of its type. */
export function monogram(type: string, name: string, vendorColour?: string): Monogram {
  const words = (name || type).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? words[0]!.charAt(0) + words[1]!.charAt(0) : (words[0] ?? '?').slice(0, 2);
  return { letters: letters.toUpperCase(), colour: vendorColour ?? hashColour(type) };
}

/** A muted colour from the name, dark enough for white letters. */
function hashColour(text: string): string {
  let hash = 0;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)!) >>> 0;
  const hue = hash % 360;
  const channel = (offset: number) => {
    const k = (offset + hue / 30) % 12;
    const value = 0.4 - 0.16 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255).toString(16).padStart(2, '0');
  };
  return `${channel(0)}${channel(8)}${channel(4)}`;
}

/** White where its contrast on a colour is at least so high, else black (WCAG 2.2, relative luminance). */
export function inkOn(colour: string, contrast = 3): string {
  const [red, green, blue] = [0, 2, 4].map((start) => {
    const channel = parseInt(colour.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  return 1.05 / (luminance + 0.05) >= contrast ? '#fff' : '#000';
}
