/** The parts of a manifest that a page shows one at a time, and their addresses. */

export type Part = { kind: 'settings' | 'inputs' | 'authentication' | 'whole' } | { kind: 'stream'; list: 'streams' | 'dynamic_streams'; index: number };

/** The part as the address of the page has it: `inputs`, `streams.3`. */
export function partKey(part: Part): string {
  return part.kind === 'stream' ? `${part.list}.${part.index}` : part.kind;
}

export function partOf(key: string | undefined): Part | null {
  const stream = /^(streams|dynamic_streams)\.(\d+)$/.exec(key ?? '');
  if (stream) return { kind: 'stream', list: stream[1] as 'streams' | 'dynamic_streams', index: Number(stream[2]) };
  return key === 'settings' || key === 'inputs' || key === 'authentication' || key === 'whole' ? { kind: key } : null;
}

/** How many defects the parts beside the streams have, by their keys; where no part shows a defect, all fields do. */
export function defectsOfParts(defects: readonly { path: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { path } of defects) {
    const [head] = path.split(/[.[]/, 1) as [string];
    if (path === '' || head === 'streams' || head === 'dynamic_streams') continue;
    const key = ['check', 'api_budget', 'concurrency_level'].includes(head) ? 'settings' : head === 'spec' ? 'inputs' : /\bauthenticator\b/.test(path) ? 'authentication' : 'whole';
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** A name that no stream has. */
export function freeName(name: string, names: readonly string[]): string {
  if (!names.includes(name)) return name;
  for (let number = 2; ; number++) if (!names.includes(`${name}_${number}`)) return `${name}_${number}`;
}
