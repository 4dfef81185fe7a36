/** What the palette offers: pages, actions, and the connections, sources and destinations of the workspace. */
export interface Entry {
  id: string;
  group: string;
  label: string;
  note?: string;
  run: () => void;
}

const MAX_IN_GROUP = 8;

/** The entries whose label or note has every word of the text, the better matches first in each group. */
export function matching(entries: readonly Entry[], text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = entries
    .map((entry) => ({ entry, score: scoreOf(entry, words) }))
    .filter(({ score }) => score > 0);
  const groups = [...new Set(entries.map((entry) => entry.group))];
  return groups.flatMap((group) =>
    scored
      .filter(({ entry }) => entry.group === group)
      .sort((a, b) => b.score - a.score)
      .slice(0, MAX_IN_GROUP)
      .map(({ entry }) => entry),
  );
}

/** 0 where a word is missing; a word that begins the label or a word of it counts more. */
function scoreOf(entry: Entry, words: readonly string[]): number {
  const label = entry.label.toLowerCase();
  const all = `${label} ${entry.note?.toLowerCase() ?? ''}`;
  let score = 1;
  for (const word of words) {
    if (!all.includes(word)) return 0;
    if (label.startsWith(word)) score += 3;
    else if (label.includes(` ${word}`)) score += 2;
    else if (label.includes(word)) score += 1;
  }
  return score;
}
