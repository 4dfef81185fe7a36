/** A value of a row: folded where it is long, nested values as indented JSON. */
import { Code, Spoiler, Text } from '@mantine/core';

import { t } from '../text';

const FOLDED = 120;

export function Value({ value }: { value: unknown }) {
  if (value === null || value === undefined) {
    return (
      <Text span size="sm" c="dimmed" fs="italic">
        {t('empty')}
      </Text>
    );
  }
  const nested = documentOf(value);
  if (nested !== undefined) {
    return (
      <Folded>
        <Code block fz="xs" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {JSON.stringify(nested, null, 2)}
        </Code>
      </Folded>
    );
  }
  return (
    <Folded>
      <Text span size="sm" className={typeof value === 'number' ? 'numbers' : undefined} style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {String(value)}
      </Text>
    </Folded>
  );
}

function Folded({ children }: { children: React.ReactNode }) {
  return (
    <Spoiler maxHeight={FOLDED} showLabel={t('Show all')} hideLabel={t('Show less')}>
      {children}
    </Spoiler>
  );
}

/** A list or an object, also one that the destination has as text. */
function documentOf(value: unknown): unknown {
  if (typeof value === 'object') return value;
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return undefined;
  try {
    const read: unknown = JSON.parse(value);
    return typeof read === 'object' && read !== null ? read : undefined;
  } catch {
    return undefined;
  }
}

/** A value on one line of a table. */
export function inline(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
