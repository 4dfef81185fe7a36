/** Parse a text in another thread, so that the page does not wait. In this one where there is no other. */
import { type Nodes, nodesOf } from '../document/tree';

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, { text: string; resolve: (nodes: Nodes) => void }>();

export function parseElsewhere(text: string): Promise<Nodes> {
  if (typeof Worker === 'undefined') return Promise.resolve(nodesOf(text));
  worker ??= begin();
  const id = ++lastId;
  return new Promise((resolve) => {
    waiting.set(id, { text, resolve });
    worker!.postMessage({ id, text });
  });
}

function begin(): Worker {
  const thread = new Worker(new URL('./parse.worker.ts', import.meta.url), { type: 'module' });
  thread.onmessage = ({ data }: MessageEvent<{ id: number; nodes: Nodes }>) => {
    waiting.get(data.id)?.resolve(data.nodes);
    waiting.delete(data.id);
  };
  // A worker whose script does not load any more, after an upgrade of the server.
  thread.onerror = () => {
    worker = undefined;
    for (const { text, resolve } of waiting.values()) resolve(nodesOf(text));
    waiting.clear();
  };
  return thread;
}
