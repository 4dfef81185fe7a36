/** Where the streams of a manifest are authenticated, and what a change of that means for each of them. */
import type { Doc, Path, Splice } from '../document/document';
import { isObject } from '../document/layout';
import { inputsOf, withInputs } from './inputs';

/** An authenticator as it is written, with the streams that use it. */
export interface Authentication {
  /** Where it is written; undefined for the streams without one. */
  path: Path | undefined;
  streams: string[];
  /** The paths of the requesters. */
  requesters: Path[];
}

/** The requesters of the streams: that of a simple retriever, and those of the asynchronous jobs. */
function requestersOf(doc: Doc, stream: Path): Path[] {
  const retriever = [...stream, 'retriever'];
  return ['requester', 'creation_requester', 'polling_requester', 'download_requester'].map((name) => [...retriever, name]).filter((path) => doc.has(path));
}

export function authentications(doc: Doc): Authentication[] {
  const places = new Map<string, Authentication>();
  for (const list of ['streams', 'dynamic_streams'] as const) {
    for (let index = 0; index < doc.count([list]); index++) {
      const stream: Path = list === 'streams' ? [list, index] : [list, index, 'stream_template'];
      const name = String(doc.get([...stream, 'name']) ?? `${list} ${index + 1}`);
      for (const requester of requestersOf(doc, stream)) {
        const path = doc.origin([...requester, 'authenticator'])?.path;
        const key = JSON.stringify(path ?? null);
        const place = places.get(key) ?? { path, streams: [], requesters: [] };
        if (!place.streams.includes(name)) place.streams.push(name);
        place.requesters.push(requester);
        places.set(key, place);
      }
    }
  }
  return [...places.values()].sort((a, b) => b.streams.length - a.streams.length);
}

const NAME = 'authenticator';

/**
 * Authenticate these requesters by a new authenticator: where they all come from one definition, in it; else in a
 * definition that each of them refers to. The inputs that it reads are added.
 */
export function authenticated(doc: Doc, requesters: readonly Path[], value: Record<string, unknown>): Splice[] {
  const inputs = withInputs(doc, inputsOf(value));
  const origins = new Map(requesters.map((path) => [JSON.stringify(base(doc, path)), base(doc, path)]));
  const [only] = origins.values();
  if (origins.size === 1 && only) return [...doc.set([...only, 'authenticator'], value), ...inputs];
  const taken = doc.keys(['definitions']);
  let name = NAME;
  for (let number = 2; taken.includes(name); number++) name = `${NAME}_${number}`;
  return [
    ...[...origins.values()].flatMap((path) => doc.set([...path, 'authenticator'], { $ref: `#/definitions/${name}` })),
    ...doc.set(['definitions', name], value),
    ...inputs,
  ];
}

/** Let these requesters use an authenticator that is written elsewhere. */
export function authenticatedLike(doc: Doc, requesters: readonly Path[], path: Path): Splice[] {
  if (path[0] === 'definitions') {
    const reference = { $ref: `#/${path.join('/')}` };
    const origins = new Map(requesters.map((requester) => [JSON.stringify(base(doc, requester)), base(doc, requester)]));
    return [...origins.values()].flatMap((requester) => doc.set([...requester, 'authenticator'], reference));
  }
  const value = doc.get(path);
  return isObject(value) ? authenticated(doc, requesters, value) : [];
}

/** Where the requester is written that a field of it belongs to: the definition that it refers to, or itself. */
function base(doc: Doc, requester: Path): Path {
  const written = doc.origin(requester)?.path ?? requester;
  const reference = doc.written([...written, '$ref']);
  if (typeof reference === 'string' && reference.startsWith('#/')) {
    const target = doc.origin(reference.slice(2).split('/'));
    if (target) return target.path;
  }
  return written;
}
