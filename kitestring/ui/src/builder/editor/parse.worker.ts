/** Parses texts in a thread of its own. */
import { nodesOf } from '../document/tree';

addEventListener('message', ({ data }: MessageEvent<{ id: number; text: string }>) => {
  const nodes = nodesOf(data.text);
  postMessage({ id: data.id, nodes }, { transfer: [nodes.numbers.buffer] });
});
