/**
 * Prints what a browser loads before the first page stands, and fails where it is more than the interface may have.
 *
 *     node bundle/firstLoad.mjs       after a build; `npm run build` does it
 *
 * The first page is the list of connections: the page itself, the scripts that it and its frame import, the styles and
 * the font, each packed with gzip as the server sends it (a font is packed in itself).
 */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT = 250_000;
const FIRST_PAGE = 'src/connections/ConnectionsPage.tsx';
const FONT = /latin-wght-normal.*\.woff2$/;

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.manifest.json', dist), 'utf-8'));
const files = new Set(['index.html']);

/** @param {string} name The source of a chunk, with what it imports. */
function collect(name) {
  const chunk = manifest[name];
  if (!chunk || files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const style of chunk.css ?? []) files.add(style);
  for (const font of (chunk.assets ?? []).filter((asset) => FONT.test(asset) && !asset.includes('latin-ext'))) files.add(font);
  for (const other of chunk.imports ?? []) collect(other);
}

for (const [name, chunk] of Object.entries(manifest)) if (chunk.isEntry) collect(name);
if (!manifest[FIRST_PAGE]) throw new Error(`${FIRST_PAGE} is not in the build: name the first page in bundle/firstLoad.mjs`);
collect(FIRST_PAGE);

const sizes = [...files].map((file) => {
  const content = readFileSync(new URL(file, dist));
  return { file, bytes: file.endsWith('.woff2') ? content.length : gzipSync(content, { level: 9 }).length };
});
const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
if (process.argv.includes('--list')) for (const { file, bytes } of sizes.sort((a, b) => b.bytes - a.bytes)) console.log(`${bytes} ${file}`);
console.log(`First load: ${(total / 1000).toFixed(1)} kB in ${sizes.length} files, packed with gzip (at most ${LIMIT / 1000} kB).`);
if (total > LIMIT) {
  console.error('It is too much. `node bundle/firstLoad.mjs --list` names the files; load lazily what the first page does not show.');
  process.exit(1);
}
