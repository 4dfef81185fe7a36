/** The names of streams, and the places of a manifest that call a stream by its name. */
import type { Doc, EditOptions, Path, Splice } from '../document/document';
import { SCALAR } from '../document/tree';

/** Lists and fields with names of streams, and with names of streams of a template. */
const NAMES = { streams: /(^|\.)stream_names\.\d+$/, dynamic_streams: /(^|\.)dynamic_stream_name$/ };

/** The names of the streams beside this one. */
export function streamNames(doc: Doc, stream: Path): string[] {
  const list = String(stream[0]);
  return Array.from({ length: doc.count([list]) }, (_, index) => index)
    .filter((index) => index !== stream[1])
    .map((index) => String(doc.get([list, index, 'name']) ?? ''));
}

/**
 * Give a stream another name: at `path`, in what the check of the connection reads, and in notes of tools that are kept by
 * the names of streams. Children refer to their parent by its place or definition, which stay.
 */
export function renamedStream(doc: Doc, path: Path, next: string, options: EditOptions = {}): Splice[] {
  const before = doc.get(path);
  const splices = doc.set(path, next, options);
  // Two streams of one name: nobody knows which of them is meant.
  if (typeof before !== 'string' || before === '' || streamNames(doc, path.slice(0, 2)).includes(before)) return splices;
  const isName = NAMES[path[0] as keyof typeof NAMES];
  const { tree } = doc;
  for (let node = 0; node < tree.count; node++) {
    if (tree.kind(node) !== SCALAR || tree.content(node) !== before) continue;
    const at = tree.path(node);
    if (isName.test(at.join('.'))) splices.push(...doc.set(at, next));
  }
  if (path[0] === 'streams') for (const note of doc.keys(['metadata'])) if (doc.written(['metadata', note, before]) !== undefined) splices.push(...doc.rename(['metadata', note, before], next));
  return splices;
}
