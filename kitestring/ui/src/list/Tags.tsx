/** The tags of a row: names with a dot of their colour. */
import { memo } from 'react';

import type { TagSummary } from '../api/schema.gen';
import styles from './list.module.css';

export const Tags = memo(function Tags({ tags }: { tags: TagSummary[] }) {
  if (tags.length === 0) return null;
  return (
    <span className={styles.tags}>
      {tags.map((tag) => (
        <span key={tag.tagId} className={styles.tag} title={tag.name}>
          <span className={styles.dot} style={{ background: colourOf(tag) }} />
          <span>{tag.name}</span>
        </span>
      ))}
    </span>
  );
});

/** The API keeps a colour as `FF8000`; other texts get the dimmed grey. */
export function colourOf(tag: { color: string }): string {
  return /^[0-9a-f]{3,8}$/i.test(tag.color) ? `#${tag.color}` : 'var(--mantine-color-dimmed)';
}
