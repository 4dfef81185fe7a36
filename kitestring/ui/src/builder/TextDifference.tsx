/** Two texts side by side in one column: lines that go and lines that come. */
import { Text } from '@mantine/core';
import { useMemo } from 'react';

import { t } from '../text';
import classes from './builder.module.css';
import { difference } from './difference';

export function TextDifference({ before, after, label }: { before: string; after: string; label: string }) {
  const runs = useMemo(() => difference(before, after), [before, after]);
  if (runs.length === 0)
    return (
      <Text size="sm" c="dimmed">
        {t('Both texts are equal.')}
      </Text>
    );
  return (
    <div className={classes.difference} role="region" aria-label={label} tabIndex={0}>
      {runs.map((run) => (
        <div key={`${run[0]!.before ?? ''}:${run[0]!.after ?? ''}`} className={classes.run}>
          {run.map((line) => (
            <div key={`${line.kind} ${line.before ?? ''} ${line.after ?? ''}`} data-kind={line.kind} className={classes.line}>
              <span className={classes.number} aria-hidden>
                {line.after ?? line.before}
              </span>
              <span className={classes.mark} aria-hidden>
                {line.kind === 'added' ? '+' : line.kind === 'removed' ? '−' : ' '}
              </span>
              {line.kind === 'added' ? <ins>{line.text || ' '}</ins> : line.kind === 'removed' ? <del>{line.text || ' '}</del> : <span>{line.text || ' '}</span>}
            </div>
          ))}
        </div>
      ))}
    </div>
  );
}
